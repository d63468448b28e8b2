"""Operators upload what calls say on a page of the console, listen to it, and take it away."""

import re
from pathlib import Path

import httpx
import pytest

from dastak.voice.recordings import telephone
from dastak.voice.sound.g711 import ulaw_to_pcm
from tests.support.axe import axe_violations
from tests.support.browser import chromium, opened, shortcomings
from tests.support.dastak_process import DastakProcess
from tests.support.login_client import LoginClient
from tests.support.login_server import behind_proxy, first_operator
from tests.unit.test_recordings import tone, wav

HOME = "/console/voice"
SEVEN, GREETING = wav(tone(700, 8000)), wav(tone(900, 44100, seconds=0.4), 44100)


dastak = behind_proxy
operator = first_operator


def upload(operator: LoginClient, files: dict[str, bytes], **changes: str) -> httpx.Response:
    (token,) = set(re.findall(r'name="form" value="([^"]+)"', operator.get(HOME).text))
    fields = {"form": token, "tenant": "default", "language": "ta", **changes}
    sent = [("recordings", (name, octets, "audio/wav")) for name, octets in files.items()]
    # A form without a file is of the same kind in a browser.
    return operator.http.post(HOME, data=fields, files=sent or {"recordings": ("", b"")})


def test_uploaded_recordings_are_listened_to_as_calls_say_them_and_taken_away(operator: LoginClient) -> None:
    sent = {"7.wav": SEVEN, "C:\\voice\\greeting.WAV": GREETING, "hello.wav": SEVEN, "8.wav": b"ID3"}
    page = upload(operator, sent)

    assert "2 recordings taken" in page.text
    assert "hello: no call says it" in page.text
    assert "8: it is no WAV file" in page.text
    sound = operator.get(f"{HOME}/default/ta/greeting.wav")
    assert sound.headers["content-type"] == "audio/wav"
    assert sound.content[44:] == ulaw_to_pcm(telephone(GREETING))

    upload(operator, {}, remove="greeting")
    assert operator.get(f"{HOME}/default/ta/greeting.wav").status_code == 404
    assert operator.get(f"{HOME}/default/ta/7.wav").status_code == 200


def test_brand_is_uploaded_under_its_name(operator: LoginClient) -> None:
    upload(operator, {'Acme "Bank".wav'.replace('"', "%22"): SEVEN}, language="brands")

    assert operator.get(f"{HOME}/default/brands/Acme%20%22Bank%22.wav").status_code == 200


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"language": "xx"}, "There is no language"),
        ({"tenant": "console"}, "There is no such tenant"),
        ({"tenant": "nobody"}, "There is no such tenant"),
    ],
)
def test_upload_to_nowhere_is_refused(operator: LoginClient, changes: dict[str, str], said: str) -> None:
    page = upload(operator, {"7.wav": SEVEN}, **changes)

    assert (page.status_code, said in page.text) == (422, True)


def test_form_without_a_file_or_of_somebody_else_takes_nothing(operator: LoginClient) -> None:
    assert "Choose at least one recording" in upload(operator, {}).text
    assert upload(operator, {"7.wav": SEVEN}, language="hi", form="made-up").status_code == 403
    assert operator.get(f"{HOME}/default/hi/7.wav").status_code == 404


def test_too_large_an_upload_is_refused(operator: LoginClient) -> None:
    assert "at most 4000 KB" in upload(operator, {"7.wav": bytes(4_000_001)}).text


def test_stranger_is_sent_to_sign_in(dastak: DastakProcess) -> None:
    with LoginClient(dastak.url) as stranger:
        seen = [stranger.get(path) for path in (HOME, f"{HOME}/default/ta/7.wav")]

    assert [(one.status_code, one.headers.get("location", "")[:7]) for one in seen] == [(303, "/login/")] * 2


async def test_page_can_be_read_and_used_by_everybody(
    dastak: DastakProcess, operator: LoginClient, tmp_path: Path
) -> None:
    recording = tmp_path / "5.wav"
    recording.write_bytes(SEVEN)
    place = {"domain": "127.0.0.1", "path": "/"}
    carried = [{"name": one.name, "value": one.value, **place} for one in operator.http.cookies.jar]
    async with chromium() as browser:
        state = {"cookies": carried, "origins": []}
        small = {"width": 320, "height": 640}
        async with opened(
            browser, dastak.url + HOME, storage_state=state, viewport=small, bypass_csp=True
        ) as (page, faults):
            await page.select_option("#language", "ur")
            await page.set_input_files("#recordings", recording)
            await page.get_by_role("button", name="Upload").click()
            await page.get_by_text("1 recordings taken").wait_for()
            await page.locator("summary", has_text="Urdu").click()
            assert await axe_violations(page) == []
            assert await shortcomings(page) == []
            assert faults == []
            await page.get_by_role("button", name="Take away 5, Urdu").click()
            await page.get_by_text("Urdu: 1 of").wait_for(state="detached")

    assert operator.get(f"{HOME}/default/ur/5.wav").status_code == 404
