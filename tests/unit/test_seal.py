"""What is sealed opens only with its key and for its row."""

import pytest

from dastak.core.codes import KeyRing
from dastak.core.errors import Damaged, Overloaded
from dastak.store.seal import AesGcmSealer
from tests.support.samples import RING

CLEAR = b"caller's own code"
ROW = b"row 1"


def test_seal_opens_what_it_sealed() -> None:
    sealer = AesGcmSealer(RING)

    assert sealer.unseal(sealer.seal(CLEAR, bound_to=ROW), bound_to=ROW) == CLEAR


def test_sealed_form_hides_the_clear_text_and_never_repeats() -> None:
    sealer = AesGcmSealer(RING)

    sealed = [sealer.seal(CLEAR, bound_to=ROW) for _ in range(100)]

    assert len(set(sealed)) == 100
    assert not any(CLEAR in each for each in sealed)
    assert {each[:4] for each in sealed} == {(2).to_bytes(4)}


def test_old_key_of_the_ring_still_opens_after_rotation() -> None:
    before = AesGcmSealer(KeyRing(current=1, keys=RING.keys))

    sealed = before.seal(CLEAR, bound_to=ROW)

    assert AesGcmSealer(RING).unseal(sealed, bound_to=ROW) == CLEAR


def test_sealed_opens_for_no_other_row() -> None:
    sealer = AesGcmSealer(RING)
    sealed = sealer.seal(CLEAR, bound_to=ROW)

    with pytest.raises(Damaged, match="another row's, or damaged"):
        sealer.unseal(sealed, bound_to=b"row 2")


def test_sealed_opens_under_no_other_key() -> None:
    sealed = AesGcmSealer(RING).seal(CLEAR, bound_to=ROW)

    with pytest.raises(Damaged):
        AesGcmSealer(KeyRing(current=2, keys={2: RING.keys[1]})).unseal(sealed, bound_to=ROW)


def test_sealed_is_asked_for_again_later_where_its_key_came_into_use_on_another_node() -> None:
    sealed = AesGcmSealer(RING).seal(CLEAR, bound_to=ROW)

    with pytest.raises(Overloaded, match="no key 2 yet"):
        AesGcmSealer(KeyRing(current=1, keys={1: RING.keys[1]})).unseal(sealed, bound_to=ROW)


def test_every_changed_or_missing_octet_is_found() -> None:
    sealer = AesGcmSealer(RING)
    sealed = sealer.seal(CLEAR, bound_to=ROW)
    changed = [sealed[:n] + bytes([sealed[n] ^ 1]) + sealed[n + 1 :] for n in range(len(sealed))]

    for damaged in (*changed, *(sealed[:n] for n in range(len(sealed)))):
        with pytest.raises(Overloaded if damaged[:4] != sealed[:4] else Damaged):
            sealer.unseal(damaged, bound_to=ROW)


def test_code_key_itself_opens_nothing() -> None:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    sealed = AesGcmSealer(RING).seal(CLEAR, bound_to=ROW)

    with pytest.raises(InvalidTag):
        AESGCM(RING.keys[2]).decrypt(sealed[4:16], sealed[16:], sealed[:4] + ROW)
