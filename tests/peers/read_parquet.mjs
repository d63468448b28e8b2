// Reads a Parquet file with hyparquet and prints what it found: the types of its columns, its groups, its rows.
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from "hyparquet";

const file = await asyncBufferFromFile(process.argv[2]);
const metadata = await parquetMetadataAsync(file);
const types = {};
for (const column of metadata.schema) types[column.name] = [column.type ?? null, column.logical_type ?? null];
const groups = metadata.row_groups.map((group) => Number(group.num_rows));
console.log(JSON.stringify({ types, groups, rows: await parquetReadObjects({ file }) }));
