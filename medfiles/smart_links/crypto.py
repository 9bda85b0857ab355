"""The encryption of SMART Health Links: a key for each, wrapped while it is stored, and JWE written in a stream."""

import base64
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from medfiles.errors import IntegrityFailed

KEY_BYTES, IV_BYTES = 32, 12
PIECE = 3 * 64 * 1024  # bytes encoded at once: base64 of multiples of three needs no padding


def new_key() -> bytes:
    return secrets.token_bytes(KEY_BYTES)


def base64url(content: bytes) -> str:
    """Return unpadded base64url (RFC 7515)."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@dataclass(frozen=True)
class Wrapping:
    """Wraps keys for storage (RFC 3394), with a key that is derived from the installation's secret."""

    _key: bytes = field(repr=False)

    @classmethod
    def derive(cls, secret: str) -> "Wrapping":
        """Derive the wrapping key from a secret. The key is used for nothing else."""
        info = b"medfiles smart health link"
        return cls(HKDF(SHA256(), KEY_BYTES, salt=None, info=info).derive(secret.encode()))

    def wrap(self, key: bytes) -> bytes:
        return aes_key_wrap(self._key, key)

    def unwrap(self, wrapped: bytes) -> bytes:
        """Return the key. Raises IntegrityFailed if it was wrapped with another secret."""
        try:
            return aes_key_unwrap(self._key, wrapped)
        except InvalidUnwrap as error:
            raise IntegrityFailed() from error


class JweWriter:
    """Encrypts content into one compact JWE (RFC 7516: `dir`, `A256GCM`, a fresh IV), holding only a piece of it."""

    def __init__(self, write: Callable[[bytes], Any], key: bytes, content_type: str) -> None:
        header = {"alg": "dir", "enc": "A256GCM", "cty": content_type}
        protected = base64url(json.dumps(header, separators=(",", ":")).encode()).encode()
        iv = secrets.token_bytes(IV_BYTES)
        self._write = write
        self._encryptor = Cipher(AES(key), GCM(iv)).encryptor()
        self._encryptor.authenticate_additional_data(protected)
        self._rest = bytearray()
        write(protected + b".." + base64url(iv).encode() + b".")

    def write(self, content: bytes) -> None:
        self._rest += content
        if len(self._rest) >= PIECE:
            whole = len(self._rest) - len(self._rest) % PIECE
            self._encode(bytes(self._rest[:whole]))
            del self._rest[:whole]

    def finish(self) -> None:
        """Write what is left, and the authentication tag."""
        self._encode(bytes(self._rest))
        self._encryptor.finalize()
        self._write(b"." + base64url(self._encryptor.tag).encode())

    def _encode(self, content: bytes) -> None:
        self._write(base64url(self._encryptor.update(content)).encode())
