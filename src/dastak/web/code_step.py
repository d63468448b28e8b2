"""Ask a person for a code and judge it: the one step that the code page, the login and all others share.

1. Looking sends nothing. A form that comes twice is answered with the state, and acts once.
2. What cannot be a code, or is the code of an earlier message, costs no attempt.
3. While a number is locked, the right code and a wrong one get the same answer.
4. It knows no cookies: who shows the form binds the verification to a session, and checks the form's token.
5. Where an authenticator or a printed list is asked for, no form has a text or a call sent in its place.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import msgspec

from dastak.core import lockout
from dastak.core import verification as rules
from dastak.core.errors import Conflict, DastakError, NotFound, Overloaded, RateLimited
from dastak.core.hash_chain import read_password
from dastak.core.ids import VerificationId
from dastak.core.lockout import Tally
from dastak.core.policy import Channel, ResendCode
from dastak.core.ports import Held, Ports, Replayed
from dastak.core.tenant import Caller
from dastak.core.verification import Judgement, Reason, State, Verification, asks_factor
from dastak.flows.check import Attempt, check
from dastak.flows.resend import resend
from dastak.flows.start import Ask, Started, start
from dastak.web.code.asked_once import renew, take_matched
from dastak.web.code.code_view import (
    CodeSight,
    Said,
    at_of,
    call_wait_s,
    hint_of,
    line_of,
    locked_line,
    may_send,
    see,
    shape_of,
    values_of,
)
from dastak.web.code.earlier_code import is_earlier_code
from dastak.web.code_field import FieldRead, Misread, read_digits, read_letters
from dastak.web.page_house import PageHouse
from dastak.web.page_words import Words

# A code that is older than this is no late one: whoever has it begins again.
RENEW_WITHIN: Final = timedelta(minutes=15)
# Nobody waits longer in front of a page.
WAIT_TOLD_S_MAX: Final = 600
_TYPED_SHOWN_MAX: Final = 100
_OK: Final = 200
_UNPROCESSABLE: Final = 422
_TOO_MANY: Final = 429
# What the page says of a verification that ended; of any other end that its time is over.
_ENDED: Final = {State.APPROVED: "error_used", State.FAILED: "way_failed"}


class CodeOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a form.

    Attributes:
        approved: The code was right. True once in a verification's life.
        verification: What the session asks for from now on: another one where the time of the first was over.
        status: How to answer if it was not approved.
        values: What to show then; see `CodeStep.look`.
        judgement: Where an attempt was judged.
        retry_after_s: After how many seconds to try again, where a lock that opens by itself kept it from
            being sent.
    """

    approved: bool
    verification: VerificationId
    status: int = _OK
    values: Mapping[str, Any] = {}
    judgement: Judgement | None = None
    retry_after_s: int | None = None


class _Asking(msgspec.Struct, frozen=True, kw_only=True):
    """One form as it came, and for whom it is answered."""

    caller: Caller
    held: Held
    form: Mapping[str, str]
    words: Words
    may_change_number: bool
    masked: str

    @property
    def verification(self) -> Verification:
        return self.held.verification


class CodeStep:
    """Asks for codes by the flows; any page can have one.

    Args:
        house: What all pages share.
    """

    def __init__(self, house: PageHouse) -> None:
        self._ports: Final[Ports] = house.ports

    async def begin(self, caller: Caller, ask: Ask) -> VerificationId:
        """Start a verification; see `flows.start` for what it raises."""
        started = await start(self._ports, caller, ask)
        assert isinstance(started, Started)
        return started.verification.id

    async def look(
        self,
        caller: Caller,
        verification_id: VerificationId,
        words: Words,
        *,
        may_change_number: bool = False,
        masked: str = "",
    ) -> Mapping[str, Any]:
        """Return the values of the template `code_form.html`; nothing is sent.

        Args:
            caller: Whose verification it is.
            verification_id: Bound to the session by the page around.
            words: The reader's language.
            may_change_number: Show a button `do=number`, which the page around serves itself.
            masked: The number, if its last two digits may be shown to this reader; no more of it ever is.

        Returns:
            The page around sets `form` (its token), and may set `back` and `poll` (an address that answers
            with `watch`).

        Raises:
            NotFound: The caller has no such verification.
        """
        held = await self._ports.store.find(caller.tenant.n, verification_id)
        asking = _Asking(
            caller=caller,
            held=held,
            form={},
            words=words,
            may_change_number=may_change_number,
            masked=masked,
        )
        return await self._values(asking, Said())

    async def watch(
        self, caller: Caller, verification_id: VerificationId, words: Words
    ) -> Mapping[str, str | bool]:
        """Return what a page that stays open asks again and again: how far the newest message is.

        Returns:
            `state` and its sentence `line`; whether a call may be asked for now; whether all is over.

        Raises:
            NotFound: The caller has no such verification.
        """
        verification = (await self._ports.store.find(caller.tenant.n, verification_id)).verification
        seen = await see(self._ports, verification)
        over = verification.state is not State.PENDING
        call = may_send(seen) and call_wait_s(seen) == 0
        return {"state": seen.way or "", "line": line_of(seen, words), "call": call, "over": over}

    async def act(
        self,
        caller: Caller,
        verification_id: VerificationId,
        form: Mapping[str, str],
        words: Words,
        *,
        may_change_number: bool = False,
        masked: str = "",
    ) -> CodeOutcome:
        """Do what a form asks for: `do` is `check`, `resend` or `call`.

        Args:
            caller: Whose verification it is.
            verification_id: Bound to the session by the page around.
            form: Its token was checked.
            words: The reader's language.
            may_change_number: See `look`.
            masked: See `look`.

        Raises:
            NotFound: The caller has no such verification.
            Overloaded: Nothing was judged or sent; the person tries again.
        """
        held = await self._ports.store.find(caller.tenant.n, verification_id)
        asking = _Asking(
            caller=caller,
            held=held,
            form=form,
            words=words,
            may_change_number=may_change_number,
            masked=masked,
        )
        if form.get("do") not in ("resend", "call"):
            matches = held.verification.particulars.match
            return await (self._typed_into_phone(asking) if matches else self._check(asking))
        if _came_before(asking):
            return await self._answer(asking, Said(typed=_typed(form)))
        if asks_factor(held.verification):  # the page has no such button
            return await self._send_no_more(asking)
        return await self._send(asking, Channel.VOICE if form["do"] == "call" else None)

    async def _check(self, asking: _Asking) -> CodeOutcome:
        verification, words = asking.verification, asking.words
        raw = asking.form.get("code", "")
        seen = await see(self._ports, verification)
        read = _read(seen, raw)
        if read.misread is not None:
            said = Said(error=_misread(seen, read, words), typed=_typed(asking.form))
            return await self._answer(asking, said, _UNPROCESSABLE)
        now = self._ports.clock.now()
        tally = _tally(asking.held, seen)
        gated = rules.gate(verification, tally, now=now)
        if gated is not None and gated.reason is Reason.EXPIRED:
            locked = lockout.lock(tally, now=now, legacy=verification.policy.legacy) is not None
            lately = now - verification.expires_at <= RENEW_WITHIN
            return await self._expired(asking, renews=lately and not locked)
        if gated is None and verification.state is State.PENDING:
            if _came_before(asking):
                return await self._answer(asking, Said(typed=_typed(asking.form)))
            if await is_earlier_code(self._ports, verification, read.code):
                return await self._answer(asking, Said(error=words.say("error_older")), _UNPROCESSABLE)
        return await self._judge(asking, read.code)

    async def _judge(self, asking: _Asking, code: str) -> CodeOutcome:
        said = asking.verification.particulars
        attempt = Attempt(code=code, amount=said.amount, payee=said.payee)
        judged = await check(self._ports, asking.caller.tenant.n, asking.verification.id, attempt)
        assert isinstance(judged, Judgement)
        if judged.approved:
            return CodeOutcome(approved=True, verification=asking.verification.id, judgement=judged)
        after = _after(asking, judged.step.verification)
        error, status = self._refusal(after, judged)
        answer = await self._answer(after, Said(error=error), status)
        return msgspec.structs.replace(answer, judgement=judged)

    def _refusal(self, asking: _Asking, judged: Judgement) -> tuple[str, int]:
        """Return the sentence for a code that did not approve, and the status."""
        words, brand = asking.words, self._brand(asking.verification)
        if judged.reason is Reason.CONSUMED:
            return words.say("error_used", brand=brand), _UNPROCESSABLE
        if judged.reason is Reason.LOCKED or judged.reason is Reason.EXHAUSTED:
            return self._too_many(asking, judged), _TOO_MANY
        left = rules.attempts_remaining(asking.verification)
        if judged.reason in (Reason.WRONG_CODE, Reason.OLDER_CODE) and left:
            name = "error_older" if judged.reason is Reason.OLDER_CODE else "error_wrong"
            return words.say(name, left=left), _UNPROCESSABLE
        if asking.verification.state is State.EXHAUSTED:
            return self._too_many(asking, judged), _TOO_MANY
        return words.say("error_over", brand=brand), _UNPROCESSABLE

    def _too_many(self, asking: _Asking, judged: Judgement) -> str:
        words, brand = asking.words, self._brand(asking.verification)
        if judged.lock is None:
            # This one code is used up, and another one may be asked for.
            return words.say("error_locked", minutes=1, brand=brand)
        return locked_line(words, judged.lock, now=self._ports.clock.now(), brand=brand)

    async def _expired(self, asking: _Asking, *, renews: bool) -> CodeOutcome:
        """Begin anew where the time is over; once, however often the form comes."""
        over = Said(error=asking.words.say("error_over", brand=self._brand(asking.verification)))
        if not renews:
            return await self._answer(asking, over, _UNPROCESSABLE)
        try:
            renewed = await renew(self._ports, asking.caller, asking.verification)
        except Overloaded:
            raise
        except DastakError:
            return await self._answer(asking, over, _UNPROCESSABLE)
        fresh = await self._ports.store.find(asking.caller.tenant.n, renewed)
        after = msgspec.structs.replace(asking, held=fresh)
        if asks_factor(fresh.verification):  # the code is the person's own, and may be right
            return await self._judge(after, asking.form.get("code", ""))
        return await self._answer(after, Said(error=asking.words.say("error_renewed")), _UNPROCESSABLE)

    async def _send(self, asking: _Asking, channel: Channel | None) -> CodeOutcome:
        """Send once more, or say why not yet; what was typed so far is kept."""
        words, typed = asking.words, _typed(asking.form)
        try:
            sent = await resend(self._ports, asking.caller, asking.verification.id, channel)
        except (NotFound, Overloaded):
            raise
        except RateLimited as limited:
            long = limited.retry_after_s > WAIT_TOLD_S_MAX
            name = "error_no_more" if long else "error_wait"
            sentence = words.say(name, seconds=limited.retry_after_s, brand=self._brand(asking.verification))
            said = Said(error=sentence, typed=typed)
            return await self._answer(asking, said, _TOO_MANY)
        except DastakError as refused:
            over = isinstance(refused, Conflict) and asking.verification.state is not State.PENDING
            name = "error_over" if over else "error_no_more"
            said = Said(error=words.say(name, brand=self._brand(asking.verification)), typed=typed)
            return await self._answer(asking, said, _UNPROCESSABLE)
        assert not isinstance(sent, Replayed)
        after = _after(asking, sent.verification)
        anew = sent.verification.policy.resend_code is ResendCode.NEW
        called = sent.message.channel is Channel.VOICE
        name = "code_called" if called else "code_anew" if anew else "code_again"
        return await self._answer(after, Said(notice=words.say(name), typed=typed))

    async def _send_no_more(self, asking: _Asking) -> CodeOutcome:
        sentence = asking.words.say("error_no_more", brand=self._brand(asking.verification))
        return await self._answer(asking, Said(error=sentence, typed=_typed(asking.form)), _UNPROCESSABLE)

    async def _typed_into_phone(self, asking: _Asking) -> CodeOutcome:
        """Go on once the right number was typed into the phone; that is taken once."""
        verification = asking.verification
        tenant = asking.caller.tenant.n
        approved = verification.state is State.APPROVED
        if approved and await take_matched(self._ports, tenant, verification.id):
            return CodeOutcome(approved=True, verification=verification.id)
        words, brand = asking.words, self._brand(verification)
        if verification.state is State.PENDING and self._ports.clock.now() < verification.expires_at:
            return await self._answer(asking, Said(error=words.say("match_waiting")), _UNPROCESSABLE)
        name = _ENDED.get(verification.state, "error_over")
        return await self._answer(asking, Said(error=words.say(name, brand=brand)), _UNPROCESSABLE)

    async def _answer(self, asking: _Asking, said: Said, status: int = _OK) -> CodeOutcome:
        values = await self._values(asking, said)
        return CodeOutcome(approved=False, verification=asking.verification.id, status=status, values=values)

    async def _values(self, asking: _Asking, said: Said) -> Mapping[str, Any]:
        seen = await see(self._ports, asking.verification)
        if not said.error and asking.verification.state is not State.PENDING:
            name = _ENDED.get(asking.verification.state, "error_over")
            said = msgspec.structs.replace(said, notice=asking.words.say(name, brand=seen.brand))
        return values_of(
            seen, asking.words, said, may_change_number=asking.may_change_number, masked=asking.masked
        )

    def _brand(self, verification: Verification) -> str:
        return self._ports.service_of(verification.service).brand


def _read(seen: CodeSight, raw: str) -> FieldRead:
    if seen.factor is not None and seen.factor.kind is Channel.HASH_CHAIN:
        return FieldRead(misread=Misread.UNREADABLE) if read_password(raw) is None else FieldRead(raw)
    length, letters = shape_of(seen)
    if not letters:
        return read_digits(raw, length)
    return read_letters(raw, length, own=seen.verification.own_code_digest is not None)


def _misread(seen: CodeSight, read: FieldRead, words: Words) -> str:
    length, letters = shape_of(seen)
    if read.misread is Misread.LENGTH:
        return words.say("error_length", length=length, count=read.digits)
    if seen.factor is not None:  # it came in no message
        return hint_of(seen, words)
    return words.say("error_unreadable_letters" if letters else "error_unreadable", length=length)


def _tally(held: Held, seen: CodeSight) -> Tally:
    return held.tally if seen.factor is None else seen.factor.tally


def _came_before(asking: _Asking) -> bool:
    """Say whether something was sent or judged since the form was shown, so that it may be a repeat."""
    shown = asking.form.get("at")
    return shown is not None and shown != at_of(asking.verification)


def _after(asking: _Asking, verification: Verification) -> _Asking:
    return msgspec.structs.replace(
        asking, held=msgspec.structs.replace(asking.held, verification=verification)
    )


def _typed(form: Mapping[str, str]) -> str:
    return form.get("code", "")[:_TYPED_SHOWN_MAX]
