"""What every store keeps of the webhooks of landing pages: a secret, and for a while the one before it."""

from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from dastak.core.lead_hook import LeadHook
from tests.support.samples import NOW

UNTIL = NOW + timedelta(days=1)


async def test_new_secret_stands_beside_the_one_before_it_until_the_webhook_is_set_anew(store: Any) -> None:
    hook = LeadHook(page=7, url="https://shop.example/leads", secret=b"first")
    await store.lead_hooks.put_hook(hook, now=NOW)
    rotated = await store.lead_hooks.rotate_hook(7, b"second", before_until=UNTIL)
    both = await store.lead_hooks.hook(7)
    await store.lead_hooks.rotate_hook(7, b"third", before_until=UNTIL)
    later = await store.lead_hooks.hook(7)

    await store.lead_hooks.put_hook(replace(hook, secret=b"fourth"), now=NOW)

    assert rotated
    assert both == replace(hook, secret=b"second", before=b"first", before_until=UNTIL)
    assert later == replace(hook, secret=b"third", before=b"second", before_until=UNTIL)
    assert await store.lead_hooks.hook(7) == replace(hook, secret=b"fourth")


async def test_page_without_a_webhook_gets_no_secret(store: Any) -> None:
    rotated = await store.lead_hooks.rotate_hook(8, b"secret", before_until=UNTIL)

    assert not rotated
    assert await store.lead_hooks.hook(8) is None
