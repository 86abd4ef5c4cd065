"""The test control plane's certificate authority: short-lived elliptic-curve certificates, made in memory."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = timedelta(days=30)
CLOCK_SKEW = timedelta(hours=1)


@dataclasses.dataclass(frozen=True)
class Credential:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


@dataclasses.dataclass(frozen=True)
class Authority:
    """Signs the server's and the clients' certificates."""

    credential: Credential

    @classmethod
    def create(cls) -> Authority:
        """A new authority with its own key."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("kustodian-test-ca", ())
        usage = _usage(signs_certificates=True)
        certificate = (
            _builder(name, name, key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(Credential(certificate.public_bytes(serialization.Encoding.PEM), private_key(key)))

    @classmethod
    def load(cls, directory: Path) -> Authority:
        """The authority that `save` left in `directory`."""
        return cls(Credential((directory / "ca.crt").read_bytes(), (directory / "ca.key").read_bytes()))

    def save(self, directory: Path) -> None:
        """Keep the authority, for another process that signs with it."""
        (directory / "ca.crt").write_bytes(self.credential.certificate)
        (directory / "ca.key").write_bytes(self.credential.key)

    def client(self, user: str, groups: Sequence[str] = ()) -> Credential:
        """A certificate that Kubernetes reads as this user in these groups."""
        return self._issue(_name(user, groups), ExtendedKeyUsageOID.CLIENT_AUTH, ())

    def server(self) -> Credential:
        """A certificate for a server on this machine, by address or by the API server's names."""
        names: list[x509.GeneralName] = [
            x509.DNSName(name) for name in ("localhost", "kubernetes", "kubernetes.default.svc")
        ]
        names += [x509.IPAddress(ipaddress.ip_address(a)) for a in ("127.0.0.1", "10.96.0.1")]
        return self._issue(_name("kube-apiserver", ()), ExtendedKeyUsageOID.SERVER_AUTH, names)

    def _issue(
        self, subject: x509.Name, purpose: x509.ObjectIdentifier, names: Sequence[x509.GeneralName]
    ) -> Credential:
        issuer = x509.load_pem_x509_certificate(self.credential.certificate)
        signer = serialization.load_pem_private_key(self.credential.key, password=None)
        if not isinstance(signer, ec.EllipticCurvePrivateKey):
            raise TypeError(
                f"the test authority's key: is a {type(signer).__name__}, not an elliptic-curve key"
            )
        key = ec.generate_private_key(ec.SECP256R1())
        issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        builder = (
            _builder(subject, issuer.subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(issuer_key, critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(signer, hashes.SHA256())
        return Credential(certificate.public_bytes(serialization.Encoding.PEM), private_key(key))


def private_key(key: ec.EllipticCurvePrivateKey | None = None) -> bytes:
    """The key, or a new one, as unencrypted PEM, in the one form that Kubernetes reads for every purpose."""
    return (key or ec.generate_private_key(ec.SECP256R1())).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def _name(common_name: str, organizations: Sequence[str]) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in organizations]
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + LIFETIME)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
