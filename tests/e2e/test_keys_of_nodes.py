"""A node with another key file than its database was used with does not start; who lost the file goes on."""

import shutil
from pathlib import Path

from dastak.cli import Exit
from dastak.config_secrets import make_key_file
from tests.support.api_client import ApiClient
from tests.support.program import typed
from tests.support.serve_installation import Installation


def test_node_with_other_keys_is_refused_until_its_keys_are_adopted(tmp_path: Path) -> None:
    home = Installation(tmp_path / "dastak")
    keys, kept = home.directory / "secrets.json", tmp_path / "kept.json"
    with home:
        pass
    shutil.move(keys, kept)
    make_key_file(keys)

    refused = typed("serve", "--listen", "127.0.0.1:0", cwd=home.directory)
    home.command("secrets", "adopt", "--yes")
    with home:
        alive = ApiClient(home.url, "").get("/healthz").status

    assert refused.returncode == Exit.CONFIGURATION
    assert f"key 1 of {keys} is not the key 1 that this database was used with" in refused.stderr
    assert "copy the key file of another node" in refused.stderr
    assert alive == 200
