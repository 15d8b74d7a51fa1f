"""Which settings of TLS fit together. Pure; what is in the files is looked at where they are opened (`tls.read`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_ABSENT: Final = object()  # a setting that is wrong by itself, and told so already


def misfit(name: str, value: object, others: Mapping[str, Any]) -> str | None:
    """What is wrong with this value beside the others of the same peer, None when nothing is.

    name: `tls_key`, `tls_ca` or `tls_client_auth`. others: by the names of the model's fields; wrong ones are not among them.
    `<PEER>` in the text stands for the peer's name.
    """
    cert, ca, url = (others.get(other, _ABSENT) for other in ("tls_cert", "tls_ca", "url"))
    if name == "tls_key" and value is None and cert not in (None, _ABSENT):
        return "the key of the certificate in OPHL7_<PEER>_TLS_CERT is missing; name its file, which may be the same one"
    if name == "tls_key" and value is not None and cert is None:
        return "is a key without a certificate; set OPHL7_<PEER>_TLS_CERT too, or leave both out"
    if name == "tls_ca" and value is not None and cert is None and not getattr(url, "tls", True):
        return "checks nobody: OPHL7_<PEER>_URL is mllp:// and OPHL7_<PEER>_TLS_CERT is not set; set it, or leave this out"
    if name == "tls_client_auth" and value != "none":
        if cert is None:
            return "asks for certificates on a listener without TLS; set OPHL7_<PEER>_TLS_CERT and OPHL7_<PEER>_TLS_KEY too"
        if ca is None:
            return "needs to know who may sign the peer's certificate; set OPHL7_<PEER>_TLS_CA too, or write none"
    return None
