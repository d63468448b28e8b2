"""Settings of any shape are read or refused in words; nothing else comes out, and no secret does."""

import tempfile
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from dastak.config import ConfigError, Settings
from dastak.config_read import load, setting_keys

# Put together here, for hypothesis makes texts of the constants that stand in a file.
SECRET = "-".join(["hunter", "of", "two"])
KNOWN = sorted(".".join(keys) for keys in setting_keys(Settings, ()))
CARRIER = [f"carriers.airtel.{name}" for name in ("host", "port", "system_id", "password", "window", "tls")]

lines = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        [
            f"carriers.airtel.password = {shape}"
            for shape in (f'"{SECRET}"', f'["{SECRET}"]', f'{{a = "{SECRET}"}}', f'"{SECRET}')
        ]
    ),
    st.builds(
        "{} = {}".format,
        st.sampled_from([*KNOWN, *CARRIER, "store", "carriers", "carriers.airtel", "carriers.A B"]),
        st.one_of(
            st.integers().map(str),
            st.floats(allow_nan=True).map(str),
            st.booleans().map(lambda value: str(value).lower()),
            st.sampled_from(['""', "[]", "{}", "[1, [2]]", "1979-05-27", '{a = "b"}', '"\\u0000"']),
            st.text(
                st.characters(exclude_characters='"\\\n\r', exclude_categories=("Cs", "Cc")), max_size=20
            ).map('"{}"'.format),
        ),
    ),
)
names = st.one_of(
    st.sampled_from([f"DASTAK__{key.upper().replace('.', '__')}" for key in (*KNOWN, *CARRIER)]),
    st.text(st.characters(exclude_categories=("Cs",)), max_size=30).map("DASTAK__{}".format),
)


def read_or_refuse(octets: bytes, environment: dict[str, str]) -> ConfigError | None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "dastak.toml"
        file.write_bytes(octets)
        try:
            assert isinstance(load(file, environment).settings, Settings)
        except ConfigError as refused:
            return refused
    return None


@given(st.lists(lines, max_size=6), st.dictionaries(names, st.text(max_size=30), max_size=3))
@example([], {"DASTAK__": ""})
@example([], {"DASTAK____": "x"})
@example(["carriers.airtel.window = 9999999999999999999999"], {})
def test_settings_of_any_shape_are_read_or_refused_in_words(text, environment):
    octets = "\n".join(text).encode("utf-8", "surrogatepass")

    refused = read_or_refuse(octets, environment)

    assert refused is None or (refused.detail.strip() and SECRET not in refused.detail)


@given(st.binary(max_size=200))
def test_files_of_any_octets_are_read_or_refused_in_words(octets):
    refused = read_or_refuse(octets, {})

    assert refused is None or refused.detail.strip()
