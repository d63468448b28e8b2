"""The automatic call that speaks the code: SIP, media, prompts and the script of the call."""
