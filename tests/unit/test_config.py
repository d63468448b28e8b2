"""Settings: precedence, origins, errors that name the way out, masks, and pages that cannot fall behind."""

import json
import tomllib

import pytest

from dastak import config_pages
from dastak.config import (
    MASK,
    CarrierSettings,
    ConfigError,
    Secret,
    Settings,
    address_of,
    carrier_record,
    is_placeholder,
    smpp_settings,
)
from dastak.config_read import load, setting_keys
from dastak.config_secrets import (
    add_key,
    check_carrier_secrets,
    make_key_file,
    read_keys,
    refuse_other_keys,
    use_key,
    warn_of_lacking_keys,
)
from dastak.core.carrier import Carrier, CarrierKind, Lane
from dastak.guard.buckets import Rate
from dastak.guard.call_limits import CallRates
from dastak.guard.limits import LimitSettings
from dastak.sms.smpp_settings import BindKind, SmppSettings
from dastak.store.database_url import sqlite_path

AIRTEL = '[carriers.airtel]\nhost = "smsc.example.net"\nsystem_id = "ACME"\n'


@pytest.fixture
def file(tmp_path):
    return tmp_path / "dastak.toml"


def read(file, text, environment=None, overrides=None):
    file.write_text(text)
    return load(file, environment or {}, overrides)


def refusal(file, text, environment=None):
    with pytest.raises(ConfigError) as refused:
        read(file, text, environment)
    return refused.value.detail


def test_settings_are_the_defaults_when_nothing_is_written(file):
    loaded = read(file, "")

    assert loaded.settings == Settings()
    assert loaded.origin_of("server.listen") == "default"


@pytest.mark.parametrize(
    ("environment", "overrides", "listen", "origin"),
    [
        ({}, {}, "127.0.0.1:1", "dastak.toml"),
        ({"DASTAK__SERVER__LISTEN": "127.0.0.1:2"}, {}, "127.0.0.1:2", "environment DASTAK__SERVER__LISTEN"),
        (
            {"DASTAK__SERVER__LISTEN": "127.0.0.1:2"},
            {"server.listen": "127.0.0.1:3"},
            "127.0.0.1:3",
            "command line",
        ),
        ({}, {"server.listen": None}, "127.0.0.1:1", "dastak.toml"),
    ],
)
def test_the_higher_source_wins_and_is_named(file, environment, overrides, listen, origin):
    loaded = read(file, '[server]\nlisten = "127.0.0.1:1"\n', environment, overrides)

    assert loaded.settings.server.listen == listen
    assert loaded.origin_of("server.listen") == origin


@pytest.mark.parametrize(
    ("text", "environment", "words"),
    [
        (
            '[server]\nlistn = "x"\n',
            {},
            "server.listn in dastak.toml is unknown; did you mean `server.listen`?",
        ),
        ('[sever]\nlisten = "x"\n', {}, "sever in dastak.toml is unknown; did you mean `server`?"),
        (AIRTEL + "windw = 3\n", {}, "did you mean `carriers.airtel.window`?"),
        ("retention_days = 3\n", {}, "did you mean `store.retention_days`?"),
        ("", {"DASTAK__SERVER__LISTN": "x"}, "did you mean `DASTAK__SERVER__LISTEN`?"),
        ("", {"DASTAK__SERVER": "x"}, "DASTAK__SERVER in the environment is unknown"),
        ("zzz = 3\n", {}, "known here: server, store"),
        ("server = 3\n", {}, "server in dastak.toml is a table; write [server]."),
        ("[server]\nlisten = 3\n", {}, "server.listen (dastak.toml): Expected `str`, got `int`."),
        (
            AIRTEL + "[carriers.jio]\nhost = 'x'\nport = 'y'\n",
            {},
            "carriers.jio.port (dastak.toml): Expected `int`",
        ),
        (AIRTEL + "port = 0\n", {}, "carriers.airtel.port (dastak.toml): Expected `int` >= 1."),
        ("", {"DASTAK__STORE__RETENTION_DAYS": "many"}, "store.retention_days (environment DASTAK__STORE__"),
        ("[carriers.airtel]\nhost = 'x'\n", {}, "carriers.airtel.system_id is missing."),
        ("[carriers.Air-Tel]\nhost = 'x'\nsystem_id = 'x'\n", {}, "carriers.Air-Tel: a carrier's name is"),
        ('[server]\nlisten = "8080"\n', {}, "server: '8080' is not an address and a port"),
        ('[server]\npublic_url = "otp.example"\n', {}, "write https://"),
        ('[store]\nurl = "mysql://x"\n', {}, "store: 'mysql://x' is not a database"),
        ("[server\n", {}, "dastak.toml is not TOML"),
    ],
)
def test_an_error_names_the_setting_and_the_way_out(file, text, environment, words):
    detail = refusal(file, text, environment)

    assert words in detail


def test_a_setting_of_a_section_leaves_the_others_of_its_default(file):
    limits = read(file, "[limits.live.number]\ncount = 2\n").settings.limits

    assert limits.live.number == Rate(count=2, per_s=600)
    assert limits.live.tenant == limits.test.tenant == LimitSettings().tenant
    assert "at least 1" in refusal(file, "[limits.live.number]\ncount = 0\n")


def test_limits_of_calls_are_set_within_bounds(file):
    calls = read(file, "[limits.calls]\nhourly = 3\n").settings.limits.calls

    assert calls == CallRates(apart_s=60, hourly=3, daily=5)
    for beyond in ("apart_s = 29", "hourly = 11", "daily = 0"):
        assert "limits.calls" in refusal(file, f"[limits.calls]\n{beyond}\n")


def test_a_missing_file_is_an_error_when_it_was_asked_for(tmp_path):
    with pytest.raises(ConfigError, match="Next: dastak init"):
        load(tmp_path / "none.toml", {})


def test_text_from_the_environment_becomes_what_the_setting_is(file):
    environment = {
        "DASTAK__CARRIERS__AIRTEL__WINDOW": "7",
        "DASTAK__CARRIERS__AIRTEL__TLS__ENABLED": "true",
        "DASTAK__SERVER__PUBLIC_URL": "",
    }

    settings = read(file, AIRTEL, environment).settings

    assert settings.carriers["airtel"].window == 7
    assert settings.carriers["airtel"].tls.enabled is True
    assert settings.server.public_url is None


def test_variables_without_the_double_underscore_are_not_settings(file):
    assert read(file, "", {"DASTAK_URL": "x", "DASTAKX": "y"}).settings == Settings()


def secret_file(tmp_path, text="s3cret-7\n", mode=0o600):
    path = tmp_path / "password"
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("written", ["file", "environment"])
def test_a_secret_comes_from_the_file_that_its_setting_names(file, tmp_path, written):
    path = secret_file(tmp_path)
    text = AIRTEL + (f"password_file = '{path}'\n" if written == "file" else "password = 'old-one'\n")
    environment = {} if written == "file" else {"DASTAK__CARRIERS__AIRTEL__PASSWORD_FILE": str(path)}

    carrier = read(file, text, environment).settings.carriers["airtel"]

    assert carrier.password == Secret("s3cret-7")
    assert smpp_settings(carrier).password == "s3cret-7"


def test_a_secret_from_the_environment_beats_a_secret_file_of_the_file(file, tmp_path):
    text = AIRTEL + f"password_file = '{secret_file(tmp_path)}'\n"

    loaded = read(file, text, {"DASTAK__CARRIERS__AIRTEL__PASSWORD": "new-9"})

    assert loaded.settings.carriers["airtel"].password == Secret("new-9")


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o644])
def test_a_secret_file_that_everybody_may_read_is_refused(file, tmp_path, mode):
    path = secret_file(tmp_path, mode=mode)

    assert f"chmod 600 {path}" in refusal(file, AIRTEL + f"password_file = '{path}'\n")


def test_a_secret_is_masked_wherever_settings_are_shown(file):
    loaded = read(file, AIRTEL + "password = 'hunter2-secret'\n")

    shown = config_pages.effective(loaded)

    everything = (
        repr(loaded) + str(loaded.settings) + repr(shown) + str(loaded.settings.carriers["airtel"].password)
    )
    assert "hunter2-secret" not in everything
    assert MASK in repr(shown)
    path = "carriers.airtel.password"
    assert [item.origin for item in shown if item.path == path] == ["dastak.toml"]


def test_a_wrong_secret_is_not_repeated_in_its_error(file):
    assert "918273" not in refusal(file, AIRTEL + "password = 918273\n")


@pytest.mark.parametrize("clear", ["", "changeme", "Password", "<password>", "xxxxxxxx", "00000000"])
def test_a_placeholder_password_is_refused(file, clear):
    settings = read(file, AIRTEL + f"password = '{clear}'\n").settings

    assert is_placeholder(clear)
    with pytest.raises(ConfigError, match=r"carriers\.airtel\.password"):
        check_carrier_secrets(settings)


def test_a_private_key_that_everybody_may_read_is_refused(file, tmp_path):
    key = secret_file(tmp_path, mode=0o644)
    settings = read(
        file, AIRTEL + f"password = 's3cret-7'\n[carriers.airtel.tls]\nkey_file = '{key}'\n"
    ).settings

    with pytest.raises(ConfigError, match="chmod 600"):
        check_carrier_secrets(settings)


def keyed(file, path):
    return read(file, f"[secrets]\nfile = '{path}'\n").settings


def test_a_new_key_file_is_private_and_rotation_keeps_its_keys(file, tmp_path):
    path = tmp_path / "secrets.json"
    make_key_file(path)
    before = read_keys(keyed(file, path))

    number = add_key(path)
    added = read_keys(keyed(file, path))
    use_key(path, number)

    after = read_keys(keyed(file, path))
    assert path.stat().st_mode & 0o777 == 0o600
    assert (before.current, added.current, after.current, number) == (1, 1, 2, 2)
    assert after.keys == added.keys
    assert after.keys[1] == before.keys[1] != after.keys[2]


def test_a_key_that_the_file_has_not_got_cannot_be_used(file, tmp_path):
    path = tmp_path / "secrets.json"
    make_key_file(path)
    kept = path.read_bytes()

    with pytest.raises(ConfigError, match="has no key 3, but 1"):
        use_key(path, 3)
    assert path.read_bytes() == kept


def test_a_file_with_another_key_of_the_same_number_is_refused(file, tmp_path):
    ours, theirs = tmp_path / "ours.json", tmp_path / "theirs.json"
    for path in (ours, theirs):
        make_key_file(path)
    settings, ring = keyed(file, ours), read_keys(keyed(file, ours))

    with pytest.raises(ConfigError, match=r"key 1 of .*ours\.json is not the key 1"):
        refuse_other_keys(settings, ring, read_keys(keyed(file, theirs)).marks())
    refuse_other_keys(settings, ring, ring.marks() | {2: b"of another node"})


def test_log_is_told_of_keys_that_a_file_lacks(file, tmp_path, caplog):
    make_key_file(tmp_path / "ours.json")
    settings = keyed(file, tmp_path / "ours.json")
    ring = read_keys(settings)

    warn_of_lacking_keys(settings, ring, ring.marks())
    assert caplog.text == ""
    warn_of_lacking_keys(settings, ring, ring.marks() | {3: b"of another node", 2: b"of a third"})
    assert "lacks key 2, 3 of this database. Next: copy the key file" in caplog.text


def test_a_key_file_is_never_overwritten(tmp_path):
    path = tmp_path / "secrets.json"
    make_key_file(path)
    kept = path.read_bytes()

    with pytest.raises(ConfigError, match="not overwritten"):
        make_key_file(path)
    assert path.read_bytes() == kept


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        '{"current": 1, "keys": {}}',
        '{"current": 1, "keys": {"1": "00ff"}}',
        f'{{"current": 1, "keys": {{"1": "{"00" * 32}"}}}}',
        '{"current": 1, "keys": {"1": "no hexadecimal"}}',
        f'{{"current": 2, "keys": {{"1": "{bytes(range(32)).hex()}"}}}}',
    ],
)
def test_a_key_file_that_protects_nothing_is_refused(file, tmp_path, text):
    path = secret_file(tmp_path, text)

    with pytest.raises(ConfigError, match=r"secrets\.file"):
        read_keys(keyed(file, path))


def test_keys_are_asked_for_when_there_is_no_file(file):
    with pytest.raises(ConfigError, match="Next: dastak init"):
        read_keys(read(file, "").settings)


def test_the_sample_says_every_setting_and_means_the_defaults(file):
    sample = config_pages.sample()
    active = "\n".join(
        line[1:] if line.startswith("#") and line[1:2] not in " :" else line for line in sample.splitlines()
    )

    settings = read(file, active).settings

    example = CarrierSettings(host="smsc.example.net", system_id="ACME")
    assert settings == Settings(carriers={"airtel": example})
    for keys in setting_keys(Settings, ()):
        assert f"#{keys[-1]} = " in sample
    assert tomllib.loads(sample).keys() <= set(Settings.__struct_fields__)


def test_the_sample_sets_what_it_is_told_to(file):
    values = {"server.listen": "127.0.0.1:9", "simulator.enabled": True, "store.url": 'sqlite:a "b"\\c'}

    settings = read(file, config_pages.sample(values)).settings

    assert settings.server.listen == "127.0.0.1:9"
    assert settings.simulator.enabled is True
    assert settings.store.url == 'sqlite:a "b"\\c'


def test_every_setting_of_ours_is_described_in_the_schema():
    schema = config_pages.json_schema()

    json.dumps(schema)
    for name, section in schema["$defs"].items():
        if "properties" not in section:
            continue
        assert section["additionalProperties"] is False
        if name.endswith("Settings") and name not in ("Settings", "DoorSettings"):
            assert all("description" in described for described in section["properties"].values()), name


def test_a_carrier_has_the_defaults_of_our_side_of_the_bind():
    carrier = CarrierSettings(host="h", system_id="s", password=Secret("p"))

    assert smpp_settings(carrier) == SmppSettings(host="h", port=2775, system_id="s", password="p")


def test_tls_of_a_carrier_names_its_files(file):
    text = AIRTEL + "[carriers.airtel.tls]\nenabled = true\nca_file = '/ca.pem'\n"

    tls = smpp_settings(read(file, text).settings.carriers["airtel"]).tls

    assert tls is not None
    assert (tls.ca_file, tls.cert_file) == ("/ca.pem", None)


def test_carrier_of_the_file_is_written_down_as_all_are():
    airtel = CarrierSettings(host="h", system_id="s", price_micros=120_000, priority=7, weight=30)

    assert carrier_record("airtel", airtel) == Carrier(
        name="airtel", kind=CarrierKind.SMPP, lane=Lane(priority=7, weight=30, price_micros=120_000)
    )


def test_carrier_of_the_file_has_as_many_binds_as_it_says(file):
    written = read(file, AIRTEL + 'binds = 2\nbind_kind = "pair"\n').settings.carriers["airtel"]

    smpp = smpp_settings(written)

    assert (smpp.binds, smpp.bind_kind) == (2, BindKind.PAIR)


@pytest.mark.parametrize("line", ["binds = 0", "binds = 33", "weight = -1", "weight = 1001"])
def test_binds_and_weight_have_bounds(file, line):
    with pytest.raises(ConfigError, match=line.split()[0]):
        read(file, AIRTEL + f"{line}\n")


@pytest.mark.parametrize(
    ("listen", "address"), [("127.0.0.1:0", ("127.0.0.1", 0)), ("[::1]:80", ("::1", 80))]
)
def test_an_address_is_split(listen, address):
    assert address_of(listen) == address


@pytest.mark.parametrize("listen", ["", "8080", ":80", "host:", "host:99999", "host:-1", "host:８０"])
def test_what_is_no_address_is_refused(listen):
    with pytest.raises(ValueError, match="not an address"):
        address_of(listen)


@pytest.mark.parametrize(
    ("url", "path"),
    [("sqlite:///var/x.db", "/var/x.db"), ("sqlite:x.db", "x.db"), ("sqlite:////var/x.db", "/var/x.db")],
)
def test_a_database_url_names_a_file(url, path):
    assert sqlite_path(url).as_posix().replace("//", "/") == path


@pytest.mark.parametrize("url", ["sqlite:", "sqlite://", "sqlite::memory:", "postgresql://h/d", "x.db"])
def test_a_url_without_a_file_is_refused(url):
    with pytest.raises(ValueError, match="not a database"):
        sqlite_path(url)


@pytest.mark.parametrize(
    "url", ["valkey://counts.example.in", "valkeys://h:6379/1", "redis://h", "rediss://h"]
)
def test_server_of_shared_counts_is_read_with_its_password_from_a_file(tmp_path, url: str) -> None:
    file = tmp_path / "password"
    file.write_text("open-sesame\n")
    file.chmod(0o600)
    given = {
        "DASTAK__LIMITS__VALKEY_URL": url,
        "DASTAK__LIMITS__VALKEY_PASSWORD_FILE": str(file),
    }

    limits = load(None, given).settings.limits

    assert limits.valkey_url == url
    assert limits.valkey_password is not None
    assert limits.valkey_password.reveal() == "open-sesame"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://h", "no such server"),
        ("valkey:", "no such server"),
        ("valkey://u:secret@h", "valkey_password_file"),
    ],
)
def test_url_of_shared_counts_that_is_none_or_shows_a_password_is_refused(url: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as refused:
        load(None, {"DASTAK__LIMITS__VALKEY_URL": url})

    assert "secret" not in str(refused.value)
