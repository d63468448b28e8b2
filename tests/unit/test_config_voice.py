"""Where what is made for calls is kept: beside the data, never wherever somebody happens to stand."""

from pathlib import Path

import pytest

from dastak.config_read import load
from dastak.config_voice import brands_folder, sources_of

SERVER = "postgresql://dastak@127.0.0.1/dastak"


@pytest.mark.parametrize(
    ("written", "brands", "tenants"),
    [
        ({"store.url": "sqlite:///var/lib/dastak/dastak.db"}, "/var/lib/dastak/brands", "/var/lib/dastak"),
        (
            {"store.url": SERVER, "secrets.file": "{home}/keys/secrets.json"},
            "{home}/keys/brands",
            "{home}/keys",
        ),
        ({"store.url": SERVER, "secrets.file": "{home}/absent/secrets.json"}, "{home}/brands", "{home}"),
        ({"store.url": SERVER}, "{home}/brands", "{home}"),
        ({"store.url": SERVER, "voice.kept": "/srv/calls"}, "/srv/calls/brands", "/srv/calls"),
        ({"store.url": SERVER, "voice.kept": "calls"}, "{home}/calls/brands", "{home}/calls"),
        (
            {"store.url": SERVER, "voice.kept": "/srv/calls", "voice.brands": "/srv/names"},
            "/srv/names",
            "/srv/calls",
        ),
    ],
)
def test_what_is_made_for_calls_is_kept_where_the_settings_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: dict[str, str], brands: str, tenants: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keys").mkdir()
    file = tmp_path / "dastak.toml"
    file.write_text("")
    overrides = {name: value.format(home=tmp_path) for name, value in written.items()}

    settings = load(file, {}, overrides).settings

    assert brands_folder(settings) == Path(brands.format(home=tmp_path))
    assert sources_of(settings).brands == str(brands_folder(settings))
    assert sources_of(settings).tenants == f"{tenants.format(home=tmp_path)}/tenants-voices"
