# SPDX-License-Identifier: Apache-2.0
"""
moto's server on a free port of loopback, which it prints, with the part of AWS KMS that moto leaves out: it hashes what is
signed, also where the request says that it is a digest (MessageType DIGEST). The keys, the requests and the rest of the
answers are moto's own.
"""
import contextvars
import logging

from cryptography.hazmat.primitives.asymmetric import ec, utils as prehash
from moto.kms import responses, utils
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

is_digest = contextvars.ContextVar("is_digest", default=False)
sign_request = responses.KmsResponse.sign
sign_rsa = utils.RSAPrivateKey.sign
sign_ecdsa = utils.ECDSAPrivateKey.sign


def sign(self):
    token = is_digest.set(self._get_param("MessageType") == "DIGEST")
    try:
        return sign_request(self)
    finally:
        is_digest.reset(token)


def rsa(self, message, signing_algorithm):
    if not is_digest.get():
        return sign_rsa(self, message, signing_algorithm)
    pad, algorithm = self._RSAPrivateKey__padding_and_hash_algorithm(signing_algorithm)
    return self.private_key.sign(message, pad, prehash.Prehashed(algorithm))


def ecdsa(self, message, signing_algorithm):
    if not is_digest.get():
        return sign_ecdsa(self, message, signing_algorithm)
    algorithm = self._ECDSAPrivateKey__hash_algorithm(signing_algorithm)
    return self.private_key.sign(message, ec.ECDSA(prehash.Prehashed(algorithm)))


responses.KmsResponse.sign = sign
utils.RSAPrivateKey.sign = rsa
utils.ECDSAPrivateKey.sign = ecdsa
logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True)
print(server.server_port, flush=True)
server.serve_forever()
