"""The call that speaks a code: SIP, media, prompts, and the talk with the person."""
