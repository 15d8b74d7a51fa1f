"""Makes three authorities and a certificate of each, for trying TLS out on this machine. Not for real messages.

.venv/bin/python examples/tls/make_certificates.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import trustme

# authority -> whom it gives a certificate
PARTIES = {"practice-ca": "ophl7", "pm-ca": "pm", "emr-ca": "emr"}


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for authority, name in PARTIES.items():
        ca = trustme.CA(organization_name=authority)
        ca.cert_pem.write_to_path(str(folder / f"{authority}.pem"))
        issued = ca.issue_cert("127.0.0.1", "localhost", common_name=name)
        (folder / f"{name}.pem").write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
        key = folder / f"{name}.key"
        key.touch(mode=0o600)  # before there is anything in it
        key.write_bytes(issued.private_key_pem.bytes())
        print(f"{folder}/{name}.pem and {folder}/{name}.key, signed by {folder}/{authority}.pem")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
