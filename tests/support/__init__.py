"""Modules that tests share, by the name of what each provides.

===================  ========================================  =====================================
file                 what it provides                          used by
===================  ========================================  =====================================
applications         applications and producers                most tests of connections
blocking_peer        clients on blocking sockets               daemon, echoing
built_guide          the guide, built by Sphinx                test_built_guide, browser
bus_rows             the buses of each row                     bus, peers, asyncio_reactor
bus_subscriber       a subscriber that keeps messages          bus, peers, asyncio_reactor
c_extension          the C extension, compiled now             sansio/wire
certificates         certificate authorities and certificates  TLS tests, dialing, cli
chunks               bytes cut into pieces                     sansio
client_certificates  a daemon that asks for certificates       daemon, browser
command_line         ``txhixie`` in a process                  cli
confinement          a program under a unit's restrictions      peers/test_unit
conversation_driver  one side of a `Conversation`              sansio
counted_member       a member of a topic that is told a number  bus, hub
counted_twistd       a daemon that counts its bytes             tests of memory bounds
crowd                thousands of members of a hub             daemon/test_room_daemon
daemon               ``twistd hixie`` in a process             every test that starts a daemon
default_poller       whether the poller is on by default       conftest, sockets
deviations           samples of clients' deviations            cli, server
device_doctor        ``txhixie doctor --listen`` in a process   cli, peers
dialect_marks        marks of tests for each dialect            tests that run for each dialect
dialect_names        names of dialects                         tests that run for each dialect
echoing              a client in a thread, and its echoes       daemon/test_floods
frame_writer         frames of any dialect as bytes            connection, server, gateway
frames               frames of RFC 6455 as bytes               sansio, frame_writer
fuzz                 compares C and Python on random input     by hand
gateway_setup        a gateway with its backend                gateway, daemon/services
guide_pages          code blocks of the guide                  test_documents, tests of taken blocks
handshake_bytes      handshakes of any dialect as bytes        connection, server, raw_peer
handshakes           a handshake as one call                   sansio/handshake, sansio
held_bytes           how many bytes an object holds            tests of bounded buffers
http_heads           HTTP heads from their lines               sansio/http, sansio/handshake
ipv6                 a mark of tests that need IPv6            dialing, server, daemon
jwt_keys             keys of JSON Web Tokens                   daemon/guards
log_recorder         the log events of a test                  conftest, annotations
manual_pages         manual pages of the command               cli
members_told         a client that waits for a number          tests of numbers of members
memory_connection    one side of a connection in memory        connection, server, client
memory_proxies       proxies in memory                         dialing
message_streams      random streams of frames                  sansio, fuzz
network              servers and clients over sockets          conftest, every test over sockets
nginx                nginx before a server                     test_loopback_web
own_deviations       deviations that no known device has       server, cli
page_requests        requests for a daemon's own pages         daemon/status
page_runner          runs a page of the guide                  test_documents
peer_errors          an assertion about a peer's error         sansio
plain_requests       requests for the reader in C              sansio, fuzz
private_state        state that has no public name             tests of memory and states
prose                sentences of the texts                    test_language
public_api           the public names as text                  test_public, test_documents
quick_suite          tests left out without ``--all``          conftest
raw_peer             peers that send and keep bytes            network, tests of malformed input
reactor_state        a check of the reactor after a test       client, dialing, test_frameworks
real_proxies         squid and tinyproxy                       peers, cli, daemon/services
recording_port       a Port that records                       sansio, conversation_driver
resolver             a resolver of host names                  conftest, dialing, client
scripted_peer        a blocking server with a script           cli
scripted_servers     servers that fail or stall                dialing, client
shared_bus           a bus of several processes in memory      hub
shell_completion     completion in bash, zsh and fish          cli
terminal             a program on a pty                        cli
third_party          finds programs and libraries              peers, browser, conformance
tls_ports            a TLS port of each kind                   test_alpn, browser
turns                turns of the reactor                       bus, daemon/workers
utf8                 valid and invalid UTF-8                   sansio
vectors              samples of vectors.json                   sansio
waiting              bounded waits on the reactor              every test on the reactor
workers              a daemon with worker processes            daemon/workers
===================  ========================================  =====================================

Fixtures are in ``tests/conftest.py``. ``tests/`` is on the import path: a module is imported as
``support.NAME``.
"""
