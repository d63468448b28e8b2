"""What to do when there is no link to a carrier, by the words in which the link tells why.

The first fragment found in the reason decides; a status of the standard is a fragment as well.
"""

from typing import Final

_COMPARE: Final = "compare host and port with the carrier's letter"

LINK_REMEDIES: Final = (
    (
        "OPTIONS was not answered",
        f"{_COMPARE}, look at the firewall, and ask it to allow your address; where it takes calls and never "
        "answers OPTIONS: dastak carrier set {name} --set probe_s=0 --why silent",
    ),
    (
        "our REGISTER",
        "compare username, password and domain with the carrier's letter; or set register=false where it "
        "knows you by your address",
    ),
    ("REGISTER was not answered", f"{_COMPARE}, and ask it whether it wants REGISTER at all"),
    ("cannot be found", f"the name of the host is unknown: {_COMPARE}"),
    ("cannot be looked up", "this machine cannot look names up now: getent hosts HOST; or set name_server"),
    ("says that it has no _sip", f"another transport, or another name: {_COMPARE}"),
    (
        "it cannot fetch what to say",
        "have a running server try it, which has server.public_url set: dastak carrier test {name} "
        "--to +91… --on-server",
    ),
    ("voice-srtp", "install it: pip install '.[voice-srtp]' in the checkout; or set srtp=off"),
    (
        "voice-baresip",
        "install it: pip install '.[voice-baresip]' in the checkout; or set adapter=dastak",
    ),
    (
        "ESME_RINVPASWD",
        "the password is wrong: dastak carrier set {name} --secret-file password=FILE --why mistyped",
    ),
    (
        "ESME_RINVSYSID",
        "the carrier knows no such account: dastak carrier set {name} --system-id NAME --why mistyped",
    ),
    (
        "ESME_RBINDFAIL",
        "compare system_id, password and system_type; then ask the carrier whether the account is open, your "
        "address is allowed, and how many binds it may have",
    ),
    (
        "ESME_RALYBND",
        "the account has all its binds: set fewer `binds`, end the other client, or ask for more",
    ),
    (
        "ESME_RINVSYSTYP",
        "dastak carrier set {name} --set system_type=WORD --why wanted, as the carrier names it",
    ),
    ("ESME_RTHROTTLED", "the carrier says that binds come too fast: wait a minute, then try again"),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "its certificate is not believed: tls.ca_file must hold the authority that signed it, and "
        "tls.server_name the name in it",
    ),
    ("WRONG_VERSION_NUMBER", "the port does not speak TLS: ask for the TLS port, or set tls=null"),
    ("RECORD_LAYER_FAILURE", "the port does not speak TLS: ask for the TLS port, or set tls=null"),
    ("CERTIFICATE_REQUIRED", "the carrier wants a certificate of ours: set tls.cert_file and tls.key_file"),
    ("ALERT", "the carrier ended TLS: ask which certificate and version of TLS it wants of you"),
    ("SSL", "TLS did not come about: ask the carrier for its TLS port, version and authority"),
    (
        "TLS files",
        "have tls.ca_file, tls.cert_file and tls.key_file name files in PEM that this user can read",
    ),
    # The first in asyncio's words, the second in uvloop's.
    ("Connect call failed", f"nobody listens there: {_COMPARE}"),
    ("Connection refused", f"nobody listens there: {_COMPARE}"),
    ("unreachable", "no network leads there: look at this machine's routes and its VPN to the carrier"),
    ("No route to host", "no network leads there: look at this machine's routes and its VPN to the carrier"),
    ("Multiple exceptions", f"nobody listens there: {_COMPARE}"),
    ("Name or service not known", f"the name of the host is unknown: {_COMPARE}"),
    ("No address associated", f"the name of the host is unknown: {_COMPARE}"),
    ("name resolution", "this machine cannot look names up now: getent hosts HOST"),
    (
        "no answer in time",
        f"nothing comes back: ask the carrier to allow your address, and {_COMPARE}; "
        "with TLS, ask for its TLS port",
    ),
    (
        "no bind in time",
        "the carrier took the connection and did not answer the bind: ask it whether it is up",
    ),
    (
        "closed by the peer",
        "the carrier hung up: ask whether your address is allowed, and whether this port wants TLS",
    ),
    ("the peer hung up", "TLS ended before it began: ask the carrier for its TLS port, or set tls=null"),
    (
        "ConnectTimeout",
        "look whether this machine may call out over HTTPS; if the way is long, raise connect_s: "
        "dastak carrier set {name} --set connect_s=1 --why distance",
    ),
    (
        "could not be connected to",
        "compare base_url with the vendor's letter; look whether this machine knows the name (getent hosts "
        "HOST) and may call out over HTTPS",
    ),
    ("connection lost", "the carrier hung up: ask whether your address is allowed, and whether it wants TLS"),
)
ELSE: Final = "dastak carrier show {name}, and compare each value with the carrier's letter"


def link_remedy(reason: str, name: str) -> str:
    """Return what to do about a link that does not come about."""
    for fragment, action in LINK_REMEDIES:
        if fragment in reason:
            return action.format(name=name)
    return ELSE.format(name=name)
