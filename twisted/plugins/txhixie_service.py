"""What ``twistd --help`` reads: names only, so that it imports neither txhixie nor OpenSSL."""

from twisted.application.service import ServiceMaker

hixie = ServiceMaker(
    "txhixie",
    "txhixie.daemon.tap",
    "A WebSocket server for every dialect that shipped",
    "hixie",
)
