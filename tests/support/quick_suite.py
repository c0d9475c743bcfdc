"""The tests that ``pytest`` leaves out without ``--all``, and why.

The quick suite is run after each change, and has to take at most two minutes on two cores
of a machine that has nothing but Python: otherwise it is not run. CI runs all of them. Left out is
what the table names, each with its reason; a file or a directory that is named on the command line
is run whole. The properties that hypothesis tests get :data:`EXAMPLES` examples in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

import pytest

LONG: Final[dict[str, tuple[str, ...]]] = {
    "real peers: browsers, other libraries, proxies": (
        "tests/browser/",
        "tests/conformance/",
        "tests/peers/",
    ),
    "programs are started: the daemon, the command line, the guide, the examples, pytest itself": (
        "tests/cli/",
        "tests/daemon/test_client_certificates.py",
        "tests/daemon/guards/test_tokens_daemon.py",
        "tests/daemon/services/test_targets_daemon.py",
        "tests/daemon/services/test_static.py",
        "tests/daemon/test_services.py::test_an_unknown_service_on_the_command_line",
        "tests/connection/test_held_bytes_process.py",
        "tests/daemon/test_floods.py",
        "tests/daemon/workers/test_bus_process.py",
        "tests/daemon/workers/test_link_process.py",
        "tests/daemon/test_connection_poller_daemon.py",
        "tests/daemon/test_freed_memory_daemon.py",
        "tests/test_freed_memory.py",
        "tests/daemon/workers/test_presence_daemon.py",
        "tests/daemon/workers/test_room_daemon.py",
        "tests/daemon/workers/test_workers_daemon.py",
        "tests/sockets/test_connection_poller_process.py",
        "tests/daemon/test_json_log_daemon.py",
        "tests/daemon/services/test_http_daemon.py",
        "tests/daemon/test_trace_daemon.py",
        "tests/daemon/status/test_health_daemon.py",
        "tests/daemon/status/test_metrics_page_daemon.py",
        "tests/daemon/status/test_status_page_daemon.py",
        "tests/daemon/test_listener_reload.py",
        "tests/daemon/test_pool_threads.py",
        "tests/daemon/test_publishing_daemon.py",
        "tests/daemon/test_room_daemon.py",
        "tests/daemon/guards/test_users_daemon.py",
        "tests/daemon/test_conditions_guide.py::test_the_defaults_of_the_table",
        "tests/daemon/test_options.py",
        "tests/daemon/test_systemd.py",
        "tests/cli/test_main.py",
        "tests/daemon/test_toml_file.py",
        "tests/channel/test_dial.py::test_it_runs_under",
        "tests/connection/test_awaiting.py::test_both_ways_work_under_the_asyncio",
        "tests/test_contributing.py",
        "tests/cli/test_doctor.py",
        "tests/test_built_guide.py",
        "tests/test_documents.py",
        "tests/test_examples.py",
        "tests/test_exports.py::test_importing",
        "tests/server/test_listen_queue.py::test_many_clients_wait_for_a_daemon",
        "tests/server/test_port_check.py",
        "tests/test_newcomers.py",
        "tests/test_running.py",
        "tests/test_selection.py",
        "tests/server/test_stopping.py",
        "tests/byte_streams/test_descriptions.py::test_an_installed_package",
        "tests/daemon/test_tap.py",
        "tests/testing/test_relay.py",
        "tests/typing/",
        "tests/sansio/wire/test_compiled.py::test_the_environment_chooses",
        "tests/sansio/wire/test_compiled.py::test_without_the_C_module",
    ),
    "peers that are slow, and limits of time that have to pass": (
        "tests/test_any_order.py",
        "tests/bus/test_battery.py::test_a_slow_subscriber",
        "tests/sockets/test_connection_poller.py::test_connections_with_large_messages",
        "tests/sockets/test_socket_calls.py::test_a_full_socket",
        "tests/channel/test_dial.py::test_a_peer_is_paused",
        "tests/dom/test_websocket.py::test_the_buffered_amount",
        "tests/dom/test_websocket.py::test_a_broadcast_to_a_socket_with_a_slow_peer",
        "tests/test_loopback_modern.py::test_pings_of_a_peer_that_does_not_read",
        "tests/sockets/test_payload_reader.py::test_large_messages",
        "tests/dialing/test_hostname.py::test_a_local_address_of_another_machine",
        "tests/test_loopback_bombs.py",
        "tests/server/test_http_bounds.py::test_a_request_that_does_not_end",
        "tests/server/test_http_bounds.py::test_a_client_that_does_not_read",
        "tests/connection/test_expiry.py::test_a_gateway_closes_its_backend_too",
        "tests/connection/test_lifetimes.py",
        "tests/server/test_accepting.py::test_connections_beyond",
        "tests/server/test_refused_connections.py",
        "tests/test_loopback.py::test_a_healthy_peer_survives",
        "tests/test_loopback.py::test_a_pause_loses_nothing",
        "tests/test_loopback.py::test_a_producer_gives_no_more",
        "tests/test_loopback.py::test_an_application_that_stops_hearing",
        "tests/test_loopback.py::test_what_the_kernel_holds",
        "tests/test_loopback.py::test_what_was_sent_before_a_close",
        "tests/test_loopback_modern.py::test_a_client_that_never_answers",
        "tests/test_loopback_modern.py::test_a_peer_that_answers_pings",
        "tests/test_loopback_modern.py::test_a_silent_peer",
        "tests/connection/test_progress.py",
        "tests/daemon/services/test_tcp.py",
        "tests/connection/test_protocol_rate.py",
        "tests/byte_streams/test_stream.py::test_a_stream_is_paused",
        "tests/test_turn_size.py",
        "tests/test_websocket.py::test_a_producer_is_paused",
    ),
    "every combination: dialects of a gateway's two sides, configurations, certificates": (
        "tests/sansio/test_conversation_extensions.py::test_a_bomb",
        "tests/sansio/test_conversation_extensions.py::test_a_decompression_bomb",
        "tests/sansio/test_conversation_extensions.py::test_any_frames",
        "tests/sansio/test_conversation_extensions.py::test_both_sides_understand",
        "tests/sansio/test_conversation_extensions.py::test_messages_are_heard_in_any",
        "tests/gateway/",
        "tests/test_loopback.py::test_a_connection_may_be_closed",
        "tests/test_loopback_modern.py::test_a_client_that_violates",
        "tests/test_loopback_modern.py::test_messages_of_every_kind",
        "tests/server/tls/test_subject.py::test_OpenSSL_writes",
        "tests/daemon/services/test_gateway",
        "tests/test_alpn.py",
        "tests/client/test_endpoint.py::test_each_failure_is_raised_once",
        "tests/dialing/test_identity.py",
    ),
    "every byte, size and name, of which other tests take some": (
        "tests/sansio/extensions/test_permessage_deflate.py::test_a_client_accepts_any_valid_response",
        "tests/sansio/test_conversation_hybi.py::test_binary_is_any_bytes",
        "tests/sansio/test_conversation_hybi.py::test_hybi_07_replaces",
        "tests/sansio/test_conversation_hybi.py::test_text_fails_at_its_first_wrong_byte",
        "tests/sansio/test_conversation_hybi.py::test_text_that_is_not_utf_8",
        "tests/sansio/test_conversation_messages.py::test_a_peer_has_sent_a_fifth",
        "tests/sansio/test_conversation_messages.py::test_long_payloads",
        "tests/sansio/wire/test_hybi.py::test_an_unknown_opcode",
        "tests/sansio/http/test_head.py::test_an_incomplete_head",
        "tests/sansio/test_arguments.py::test_what_holds_no_bytes",
        "tests/connection/test_repeats.py::test_any_number_of_addresses",
        "tests/dom/test_websocket.py::test_a_broadcast_reaches",
        "tests/sansio/wire/test_summary.py::test_a_text_has_its_length",
        "tests/sansio/test_conversation_hybi.py::test_text_is_decoded",
        "tests/sansio/wire/test_message_batch.py::test_whatever_is_not_a_whole",
        "tests/client/test_protocol.py::test_whenOpen_fires_once_for_any",
        "tests/sansio/extensions/test_deflate.py::test_what_is_deflated_with_takeover",
        "tests/sansio/test_arguments.py::test_binary_of_any_shape",
        "tests/sansio/test_conversation_hybi.py::test_every_violation",
        "tests/bus/test_envelope.py::test_a_message_comes_out",
        "tests/server/test_http_bounds.py::test_a_refused_request_is_answered",
        "tests/test_recorded.py::test_the_response_has_the_whole_list",
        "tests/sansio/test_conversation_hybi.py::test_the_peers_close_frame_is_answered",
        "tests/connection/test_tap.py",
        "tests/server/test_protocol_deviations.py",
        "tests/server/test_protocol_letter.py",
        "tests/server/test_protocol_quirks.py",
        "tests/test_loopback_broadcast.py",
        "tests/test_pickling.py",
        "tests/sansio/test_assembly.py",
        "tests/server/test_admission.py::TestConnectionsInAnyOrder",
        "tests/server/test_admission.py::test_addresses_that_were_seen_once",
        "tests/testing/test_strategies.py",
        "tests/sansio/wire/test_hybi.py::test_control_frames_have_no_reserved_bits",
        "tests/sansio/wire/test_hybi_batch.py::test_frames_of_one_size",
        "tests/sansio/wire/test_hybi_batch.py::test_what_is_otherwise_is_left",
        "tests/client/test_protocol.py::test_a_redirect_is_a_refusal",
        "tests/connection/test_protocol_application.py::test_a_valid_close_code",
        "tests/connection/test_protocol_application.py::test_an_invalid_close_code",
        "tests/sansio/extensions/test_deflate.py::test_what_zlib_deflates",
        "tests/sansio/extensions/test_permessage_deflate.py::test_a_client_refuses_an_invalid",
        "tests/sansio/handshake/test_hybi.py::test_a_client_makes_the_checks",
        "tests/sansio/http/test_proxy_header.py::test_a_header_is_read_however",
        "tests/sansio/http/test_tunnel_answer.py::test_after_any_2xx",
        "tests/sansio/test_arguments.py::test_the_payload_of_a_ping",
        "tests/sansio/test_closing.py::test_every_state",
        "tests/sansio/test_conversation_hybi.py::test_a_close_code_that_must_not",
        "tests/sansio/test_conversation_hybi.py::test_a_valid_close_code",
        "tests/sansio/test_conversation_hybi.py::test_a_violation_after_our_close",
        "tests/sansio/test_conversation_hybi.py::test_before_the_rfc",
        "tests/sansio/test_conversation_hybi.py::test_fragments_are_one_message",
        "tests/sansio/wire/test_hybi.py::test_a_close_code_that_must_not",
        "tests/sansio/wire/test_hybi.py::test_a_length_has_no_top_bit",
        "tests/sansio/wire/test_hybi.py::test_a_reserved_bit",
        "tests/sansio/wire/test_hybi.py::test_a_valid_close_code",
        "tests/sansio/wire/test_hybi.py::test_any_four_bytes",
        "tests/sansio/wire/test_hybi.py::test_any_frame_is_written",
        "tests/sansio/wire/test_hybi.py::test_control_frames_have_125_bytes",
        "tests/sansio/wire/test_hybi.py::test_lengths_are_read_at_every",
        "tests/sansio/wire/test_hybi_batch.py::test_a_frame_is_written",
        "tests/sansio/wire/test_hybi_batch.py::test_a_frame_says",
        "tests/sansio/wire/test_mask.py::test_a_key_has_four_bytes",
        "tests/server/test_protocol.py::test_a_subprotocol_that_was_not_offered",
        "tests/server/test_protocol.py::test_an_error_of_the_application",
        "tests/server/test_protocol.py::test_an_object_that_is_no_application",
        "tests/test_loopback.py::test_whenOpen_fires_for_every_response",
        "tests/test_loopback_modern.py::test_a_close_from_either_side",
        "tests/test_loopback_modern.py::test_a_server_that_violates",
        "tests/test_web.py::test_the_eight_bytes",
        "tests/test_web.py::test_the_response_is_the_same",
        "tests/connection/test_protocol.py::test_an_error_raised_by_an_application",
        "tests/connection/test_protocol.py::test_a_protocol_error_is_named",
        "tests/connection/test_protocol_application.py::test_a_lost_connection_ends",
        "tests/connection/test_protocol_application.py::test_closeStarted_is_called_once",
        "tests/connection/test_protocol_application.py::test_closing_a_lost",
        "tests/dialing/test_proxy.py::test_no_proxy_lists",
        "tests/sansio/extensions/test_permessage_deflate.py::test_a_server_declines_an_invalid",
        "tests/sansio/http/test_page_exchange.py::test_an_invalid_or_incomplete",
        "tests/sansio/http/test_parameters.py::test_a_malformed_list",
        "tests/sansio/test_conversation_hybi.py::test_frames_after_a_close",
        "tests/sansio/test_conversation_hybi.py::test_messages_are_sent",
        "tests/sansio/test_limits.py",
        "tests/sansio/wire/test_hybi.py::test_a_length_may_have_more",
        "tests/sansio/wire/test_hybi.py::test_a_payload_has_so_many",
        "tests/sansio/wire/test_message_batch.py::test_no_more_messages",
        "tests/server/test_protocol.py::test_a_bad_request",
        "tests/test_given_options.py",
    ),
    "how the code is written": (
        "tests/connection/test_log_levels.py",
        "tests/server/test_protocol_covered.py",
        "tests/test_benchmarks.py",
        "tests/test_floors.py",
        "tests/test_glossary.py",
        "tests/test_house.py",
        "tests/test_guide.py",
        "tests/test_exports.py::test_every_name",
        "tests/test_language.py",
        "tests/test_mirror.py",
        "tests/test_names.py",
        "tests/test_private_names.py",
        "tests/test_private_pokes.py",
        "tests/test_public.py",
        "tests/test_surfaces.py",
    ),
    "the loopback tests once more, under a Site": ("tests/test_loopback_web.py",),
    "what every parser costs": (
        "tests/sansio/handshake/test_offer.py::test_long_queries",
        "tests/sansio/http/test_head.py::test_a_head_that_comes_byte_by_byte",
        "tests/sansio/test_conversation.py::test_a_message_in_tiny_pieces",
        "tests/test_linear.py",
    ),
}
"""By the reason, the beginnings of the names of tests."""

EXAMPLES: Final = 25
"""Of each property, a quarter of what ``--all`` tests: the other 75 took a seventh of the time."""


def reason_of(name: str) -> str | None:
    """Why a test is left out of the quick suite; ``None`` for one that is in it."""
    for reason, beginnings in LONG.items():
        if name.startswith(beginnings):
            return reason
    return None


def is_quick(config: pytest.Config) -> bool:
    """Whether the command line names no tests."""
    nobody = config.args_source is not pytest.Config.ArgsSource.ARGS
    return nobody and not config.getoption("--all")


def keep_quick(config: pytest.Config, items: list[pytest.Item]) -> Counter[str]:
    """Leave the long ones out. How many, by their reasons."""
    left_out: dict[str, list[pytest.Item]] = {}
    kept: list[pytest.Item] = []
    for item in items:
        reason = reason_of(item.nodeid)
        (kept if reason is None else left_out.setdefault(reason, [])).append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=[item for each in left_out.values() for item in each])
    return Counter({reason: len(each) for reason, each in left_out.items()})


def lines_of(
    skipped: Iterable[pytest.TestReport], left_out: Counter[str], not_read: Counter[str]
) -> list[str]:
    """What did not run: skipped tests, tests left out, and files and folders that were not read."""
    reasons: Counter[str] = Counter()
    for report in skipped:
        where = report.longrepr
        said = where[2] if isinstance(where, tuple) else str(where)
        reasons[said.removeprefix("Skipped: ")] += 1
    lines = [f"{count} skipped: {reason}" for reason, count in reasons.most_common()]
    lines += [f"{count} left out: {reason}" for reason, count in left_out.most_common()]
    lines += [f"{count} files or folders: {reason}" for reason, count in not_read.most_common()]
    if left_out or not_read:
        lines.append("--all runs what is left out as well")
    return lines
