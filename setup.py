"""What txhixie is and needs. Settings of tools are in pyproject.toml."""

import pathlib
import sysconfig

from setuptools import Extension, find_packages, setup

here = pathlib.Path(__file__).parent

# Optional: where there is no compiler, their twins in Python do the same (sansio/compiled.py). None
# for a free-threaded Python: their static buffers belong to the thread that holds the interpreter's
# lock, and such a Python has neither that lock nor the stable ABI.
compiled = [
    Extension(
        "txhixie.sansio.wire._wire",
        ["txhixie/sansio/wire/_wire.c"],
        depends=["txhixie/sansio/compiled.h", "txhixie/sansio/wire/mask.h"],
        extra_compile_args=["-O3"],
        py_limited_api=True,
        optional=True,
    ),
    # sockets/socket_calls.py. Not on Windows, where send() takes no parts.
    Extension(
        "txhixie.sockets._sockets",
        ["txhixie/sockets/_sockets.c"],
        depends=["txhixie/sansio/compiled.h", "txhixie/sansio/wire/mask.h"],
        extra_compile_args=["-O3"],
        py_limited_api=True,
        optional=True,
    ),
    # sansio/http/head.py and the files that it names.
    Extension(
        "txhixie.sansio.http._request",
        ["txhixie/sansio/http/_request.c"],
        depends=["txhixie/sansio/compiled.h"],
        extra_compile_args=["-O3"],
        py_limited_api=True,
        optional=True,
    ),
]
is_free_threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))

setup(
    name="txhixie",
    version="0.1.0",
    description="WebSocket for Twisted, in every dialect that shipped",
    long_description=(here / "README.rst").read_text(encoding="utf-8"),
    long_description_content_type="text/x-rst",
    author="The txhixie developers",
    license="MIT",
    license_files=["LICENSE"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Framework :: Twisted",
        "Intended Audience :: Developers",
        "Operating System :: POSIX",
        # CI runs every test on the first of these, and the quick ones on each of the others, with
        # and without C. No 3.14 has been tried: the C file is compiled against the stable ABI of
        # 3.11, with warnings as errors, and that ABI is the later versions' too.
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Internet :: WWW/HTTP",
        "Typing :: Typed",
    ],
    # 3.11: enough of typing, and the exceptions that cost nothing until one is raised.
    python_requires=">=3.11",
    packages=[*find_packages(include=["txhixie", "txhixie.*"]), "twisted.plugins"],
    entry_points={"console_scripts": ["txhixie = txhixie.cli.main:main"]},
    ext_modules=[] if is_free_threaded else compiled,
    options={} if is_free_threaded else {"bdist_wheel": {"py_limited_api": "cp311"}},
    package_data={
        "txhixie": [
            "py.typed",
            "daemon/pages/*.html",
            "sansio/wire/_wire.pyi",
            "sansio/http/_request.pyi",
            "sockets/_sockets.pyi",
        ],
        "twisted.plugins": ["txhixie_endpoints.py", "txhixie_service.py"],
    },
    # Made of the tables of --help, by modules of tests/support that two tests name.
    data_files=[
        (
            "share/man/man1",
            [
                "share/man/man1/txhixie-connect.1",
                "share/man/man1/txhixie-doctor.1",
                "share/man/man1/txhixie-serve.1",
                "share/man/man1/txhixie.1",
            ],
        ),
        (
            "share/bash-completion/completions",
            ["share/bash-completion/completions/txhixie"],
        ),
        ("share/zsh/site-functions", ["share/zsh/site-functions/_txhixie"]),
        ("share/fish/vendor_completions.d", ["share/fish/vendor_completions.d/txhixie.fish"]),
    ],
    install_requires=[
        # 25.5: the first with the WebSocket module in twisted.web, which has the same interface
        # for applications.
        "twisted>=25.5",
        # 24.8: what Twisted 25.5 asks for, and the first with typed machines
        # (sansio/closing.py); 24.8.0 was withdrawn.
        "automat>=24.8.1",
        # Reads certificates. 42 is the first that tells their times with a time zone.
        "cryptography>=42",
        # Interfaces are declared with it. 6.2: the first that lets one stand in a union,
        # `IAddress | None`.
        "zope-interface>=6.2",
        # TLS, as Twisted's own extra `tls` asks for it: wss, and ssl: endpoints.
        # 24.0: the oldest beside a cryptography that our tests can make certificates with.
        "pyopenssl>=24.0",
        # 21.1: what is older needs six and does not say so.
        "service-identity>=21.1",
        # 3.7: what is older takes quadratic time for a long name (CVE-2024-3651).
        "idna>=3.7",
        # Reads the answers of HTTP proxies. 0.16: what is older takes a chunk that is longer than
        # its size (CVE-2025-43859).
        "h11>=0.16",
    ],
    extras_require={
        "test": [
            # 8: `pythonpath` and importlib mode together with strict configuration.
            "pytest>=8",
            # 1.14.3: the first that calls nothing Twisted 24.7 warns of.
            "pytest-twisted>=1.14.3",
            # 6.100: `derandomize` and the settings profile we use; any later one.
            "hypothesis>=6.100",
            # 70.1: the first that builds a wheel without a package `wheel` beside it; a test looks
            # into ours.
            "setuptools>=70.1",
            # As the extra `cli`: a test edits lines on a terminal.
            "prompt_toolkit>=3.0.43",
            # As the extra `users`.
            "bcrypt>=3.2",
            # As the extra `jwt`; its own extra `crypto` is cryptography, which we require anyway.
            "pyjwt>=2.10.1",
            # As the extra `metrics`.
            "prometheus-client>=0.20",
            # As the extra `redis`.
            "txredisapi>=1.6",
            "hiredis>=2.1",
            # As the extra `nats`.
            "nats-py>=2.15",
            # Applications written for twisted.web.websocket are run under both, SSH over us.
            "twisted[conch,websocket]>=25.5",
        ],
        # `txhixie connect` on a terminal: line editing with history.
        "cli": [
            # 3.0.43: the first that was released for Python 3.12's asyncio.
            "prompt_toolkit>=3.0.43",
        ],
        # `--users` with bcrypt hashes.
        "users": [
            # 3.2: the first with wheels for every later version of Python.
            "bcrypt>=3.2",
        ],
        # `--jwt-key`: JSON Web Tokens.
        "jwt": [
            # 2.10.1: what is older takes an issuer that is a part of the right one
            # (CVE-2024-53861).
            "pyjwt[crypto]>=2.10.1",
        ],
        # `--metrics`, for Prometheus.
        "metrics": [
            # 0.20: the first that calls its OpenMetrics 1.0.0 by this version, and not 0.0.1.
            "prometheus-client>=0.20",
        ],
        # `--bus redis://...`: one hub for many machines.
        "redis": [
            # 1.6: the first that reconnects by endpoints.
            "txredisapi>=1.6",
            # 2.1: the first with wheels for Python 3.11. Without hiredis, txredisapi parses
            # in Python.
            "hiredis>=2.1",
        ],
        # `--bus nats://...`, under the asyncio reactor.
        "nats": [
            # 2.15: the first whose client tells that the connection was lost.
            "nats-py>=2.15",
        ],
        # HTTP/2 under a twisted.web Site, with the versions of h2 that Twisted takes.
        "http2": [
            "twisted[http2]>=25.5",
            # 3.2: what Twisted 25.5 asks for.
            "h2>=3.2",
        ],
        "docs": [
            # 8: the first that takes a warning of an extension for one of its own under -W.
            "sphinx>=8",
            # 25.4: the first that reads the types of Python 3.13.
            "pydoctor>=25.4",
            # The guide's theme, with a dark scheme. 2024.8.6: the first that allows Sphinx 8.
            "furo>=2024.8.6",
            # A button that copies a block of code.
            "sphinx-copybutton>=0.5.2",
        ],
    },
    zip_safe=False,
)
