"""A tenant's DLT register, live: what it carries goes out with its ids, and the rest is refused in words."""

import asyncio
from pathlib import Path
from typing import Any

from dastak.simulator.smsc import Account
from tests.support.api_client import Answer, ApiClient
from tests.support.patience import until
from tests.support.serve_installation import Installation
from tests.support.smpp_pair import Ends, smsc

PE, TM, TEMPLATE = "1101172974420810001", "1101172974420830004", "1107161234567890123"
DLT = "/v1/admin/tenants/default/dlt"
TEXT = "{#numeric#} is your default login code. Valid for {#numeric#} min. Do not share it with anyone."
TLVS = [
    {"tag": 0x1400, "value": "{pe_id}"},
    {"tag": 0x1401, "value": "{template_id}"},
    {"tag": 0x1402, "value": "{chain}"},
]
EXPORT = f"""Template ID,Entity ID,Header,Template Content,Category,Status
{TEMPLATE},{PE},DASTAK,"{TEXT}",Service Implicit,Approved
12,{PE},DASTAK,"broken",Service Implicit,Approved
"""


def operator_of(installation: Installation, port: int) -> ApiClient:
    made = installation.command("keys", "create", "--name", "op", "--mode", "live", "--scope", "operator")
    operator = ApiClient(installation.url, made["key"])
    settings = {"host": "127.0.0.1", "port": port, "system_id": "sim_1", "password": "secret", "tlvs": TLVS}
    until(lambda: operator.post("/v1/admin/carriers", {"name": "north", "settings": settings}).status == 201)
    until(lambda: operator.get("/v1/admin/carriers/north").body["available"])
    return operator


def drive(directory: Path, port: int) -> dict[str, Any]:
    """Do as an operator does, and return what was answered."""
    seen: dict[str, Any] = {}
    with Installation(directory) as installation:
        operator, shop = operator_of(installation, port), installation.live_client()
        seen["brand"] = brand = operator.get("/v1/admin/tenants/default/services").body["services"][0][
            "brand"
        ]
        export = installation.directory / "export.csv"
        export.write_text(EXPORT.replace("your default", f"your {brand}"))
        installation.command("dlt", "import", str(export), "--tenant", "default", "--dry-run", expect=1)
        seen["dry"] = operator.get(DLT).status
        seen["import"] = installation.command("dlt", "import", str(export), "--tenant", "default", expect=1)
        until(lambda: operator.get(DLT).status == 200)
        kept = operator.get(DLT).body
        kept["register"]["chains"] = [
            {"pe_id": PE, "route": "north", "mode": "clear", "tm_ids": [TM], "approved": True}
        ]
        wanted = {"register": kept["register"], "revision": kept["revision"]}
        seen["put"] = operator.put(DLT, wanted)
        seen["stale"] = operator.put(DLT, wanted)
        seen["lint"] = operator.post(
            f"{DLT}/lint", {"header": "DASTAK", "texts": [f"123456 is your {brand} Login code."]}
        )
        started = shop.start("+919876543210")
        until(lambda: any(event["type"] == "submitted" for event in shop.timeline(started.body["id"])))
        seen["refused"] = shop.start("+919876543211", locale="hi")
    return seen


async def test_register_decides_what_goes_out_and_says_why_the_rest_does_not(tmp_path: Path) -> None:
    ends = Ends()
    async with smsc(ends, accounts=[Account(system_id="sim_1", password="secret")]) as carrier:
        seen = await asyncio.to_thread(drive, tmp_path / "dastak", carrier.port)

    refused: Answer = seen["refused"]
    (message,) = ends.shown
    told = {tag: value for tag, value in message.sm.tlvs if tag in (0x1400, 0x1401, 0x1402)}
    assert told == {0x1400: PE.encode(), 0x1401: TEMPLATE.encode(), 0x1402: f"{PE},{TM}".encode()}
    assert seen["dry"] == 404
    assert (seen["import"]["added"], [fault["line"] for fault in seen["import"]["faults"]]) == (1, [3])
    assert (seen["put"].status, seen["put"].body["revision"], seen["stale"].status) == (200, 2, 409)
    assert (refused.status, refused.body["code"]) == (422, "template_mismatch")
    assert refused.body["field"] == "text"
    assert f"At character {refused.body['place'] + 1}: expected" in refused.body["detail"]
    assert {"expected", "found"} <= refused.body.keys()
    assert not any(character.isdigit() for character in refused.body["found"])
    (finding,) = seen["lint"].body["findings"]
    assert (finding["matched"], finding["template_id"]) == (False, TEMPLATE)
    assert finding["place"] == len(f"123456 is your {seen['brand']} ")


NAMES = "Template ID,Header,Template Content,Category\n"
ROW = f'{TEMPLATE},DASTAK,"{TEXT}",Service Implicit\n'
HINDI = '1107161234567890456,DASTAK,"{#numeric#} आपका कोड है।",Service Implicit\n'


def test_export_comes_in_over_http_in_pieces(tmp_path: Path) -> None:
    installation = Installation(tmp_path / "dastak")
    made = installation.command("keys", "create", "--name", "op", "--mode", "live", "--scope", "operator")
    operator = ApiClient(installation.url, made["key"])
    with installation:
        bodies: list[dict[str, Any]] = [
            {"csv": NAMES + "12,DASTAK,broken,Service Implicit\n", "pe_id": PE},
            {"csv": NAMES + ROW, "pe_id": PE, "dry_run": True},
        ]
        dry = [operator.post(f"{DLT}/import", body) for body in bodies]
        broken = installation.directory / "broken.csv"
        broken.write_text(bodies[0]["csv"])
        installation.command("dlt", "import", str(broken), "--tenant", "default", "--pe-id", PE, expect=1)
        none = operator.get(DLT)
        pieces = [
            operator.post(f"{DLT}/import", {"csv": NAMES + ROW, "pe_id": PE}, idempotency_key="one"),
            operator.post(f"{DLT}/import", {"csv": NAMES + ROW, "pe_id": PE}, idempotency_key="one"),
            operator.post(f"{DLT}/import", {"csv": NAMES + HINDI + ROW}),
        ]
        refused = [
            operator.post(f"{DLT}/import", body)
            for body in ({"csv": "neither, nor"}, {"csv": NAMES + ROW * 200})
        ]
        kept = operator.get(DLT).body
        log = installation.program.log()

    assert [answer.status for answer in (*dry, none)] == [200, 200, 404]
    assert [(answer.body["added"], answer.body["revision"]) for answer in dry] == [(0, 0), (1, 0)]
    assert [fault["line"] for fault in dry[0].body["faults"]] == [2]
    assert [(answer.body["added"], answer.body["replaced"]) for answer in pieces] == [(1, 0), (1, 0), (1, 1)]
    assert (pieces[1].body, pieces[1].headers["idempotency-replayed"]) == (pieces[0].body, "true")
    assert [(answer.status, answer.body["code"]) for answer in refused] == [
        (422, "invalid_request"),
        (413, "body_too_large"),
    ]
    texts = [template["text"] for template in kept["register"]["templates"]]
    assert (kept["revision"], texts) == (2, [TEXT, "{#numeric#} आपका कोड है।"])
    assert log.count('"action": "import_register"') == 6
