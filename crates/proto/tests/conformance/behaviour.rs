//! What the server promises beyond the words of the RFCs, each with the tests that fail if it goes.

/// A promise.
pub(crate) struct Promise {
    pub(crate) what: &'static str,
    /// `file name`, the file from `crates/`.
    pub(crate) tests: &'static [&'static str],
}

const fn promise(what: &'static str, tests: &'static [&'static str]) -> Promise {
    Promise { what, tests }
}

pub(crate) const REPLIES: &[Promise] = &[
    promise(
        "Greeting, welcome and farewell of an anonymous site have the words of the reference session.",
        &[
            "proto/tests/server/login.rs a_guest_reads_the_words_of_the_reference",
            "cli/tests/it/demo.rs the_reference_session_happens_and_can_happen_again_at_once",
        ],
    ),
    promise(
        "USER is answered alike whether the account is there or not, but for guests where they are let in.",
        &[
            "proto/tests/server/login.rs known_and_unknown_names_get_the_same_answers",
            "proto/tests/server/login.rs where_guests_are_not_wanted_their_name_is_like_any_other",
        ],
    ),
    promise(
        "150 tells the size as `(N bytes)`, with a blank before it in BINARY mode and none in ASCII mode; a listing has none.",
        &["proto/tests/server/files.rs a_download_in_either_type", "proto/tests/server/files.rs a_listing"],
    ),
    promise(
        "The size of a text is that on the wire, told where it is cheap; line ends that are there are not doubled.",
        &[
            "server/src/storage/local/tests/reading.rs sizes_are_those_of_a_transfer",
            "server/tests/it/client.rs text_has_the_line_ends_of_each_side",
        ],
    ),
    promise("STOU tells its name behind 150 as `FILE: name`.", &["proto/tests/server/files.rs stou_tells_the_name"]),
    promise(
        "What is not there is 550 without a 150 before it, and nothing is connected to.",
        &[
            "proto/tests/server/data_channels.rs a_missing_file_is_550_without_a_150_and_lets_go_of_the_port",
            "server/tests/it/transfers.rs a_missing_file_is_told_before_150",
        ],
    ),
    promise(
        "A transfer that is refused, for whatever reason, has used up its data channel: no port stays open for it.",
        &[
            "proto/tests/server/data_channels.rs a_transfer_that_is_refused_has_used_up_its_channel",
            "server/tests/it/transfers.rs ports_are_given_back_with_the_refusal_of_a_transfer",
        ],
    ),
    promise(
        "227 and 229 have exactly the form that clients look for; 257 quotes the name, quotes within it doubled.",
        &[
            "proto/tests/server/data_channels.rs replies_are_those_that_clients_parse",
            "proto/tests/server/files.rs names_in_replies",
        ],
    ),
    promise(
        "Replies of several lines: `NNN-` first, inner lines behind one space, `NNN ` last; a name within cannot end them.",
        &[
            "proto/src/reply.rs one_line_and_several",
            "proto/src/reply.rs hostile_text_adds_no_line",
            "proto/tests/server/files.rs a_listing_in_a_reply_cannot_end_it",
            "proto/tests/rfc959/section_4_2.rs of_several_lines",
        ],
    ),
    promise(
        "FEAT lists each feature bare behind one space, all that are there and no other.",
        &["proto/tests/rfc2389/section_3.rs one_feature_a_line", "proto/tests/rfc2389/section_3.rs all_and_no_other"],
    ),
    promise(
        "Facts: names in lowercase, `;` behind each, one space, the name; times in UTC; kinds and links as the RFC has them; `perm` is what may be done.",
        &[
            "proto/src/listing/write/mlsx.rs all_facts_in_order",
            "proto/src/listing/write/mlsx.rs kinds_have_the_names_of_the_rfc_and_only_files_a_size",
            "proto/src/listing/write/mlsx.rs a_target_is_told_where_it_can_be",
            "proto/tests/rfc3659/section_7.rs mlst",
            "server/src/storage/guarded.rs the_fact_perm_tells_what_may_be_done",
        ],
    ),
    promise(
        "A name adds no line to a reply or a listing, and no fact.",
        &[
            "proto/src/listing/write/mlsx.rs hostile_names_and_values_add_no_line_and_no_fact",
            "proto/src/listing/write/unix.rs hostile_names_and_accounts_stay_in_their_line_and_column",
            "server/tests/it/hostile.rs names_cannot_break_a_listing",
        ],
    ),
    promise(
        "LIST has the columns of `ls -l`, the year beyond 180 days and for the future, in UTC unless a zone is set; facts in UTC.",
        &[
            "proto/src/listing/write/unix.rs times_are_those_of_the_zone_on_that_day",
            "server/tests/it/verbs.rs listings_tell_times_in_the_zone_that_is_set_and_facts_in_utc",
            "proto/src/listing/write/unix.rs lines_are_those_of_ls",
            "proto/src/listing/write/unix.rs the_year_is_told_beyond_180_days_and_for_the_future",
        ],
    ),
    promise(
        "LIST takes the options of `ls` and patterns; an empty directory is 150 and 226; NLST gives names alone.",
        &[
            "server/src/storage/local/tests/listings.rs options_choose_and_order",
            "server/src/storage/local/tests/listings.rs files_links_and_patterns",
            "server/src/data/listing.rs names_are_paths_as_the_client_writes_them",
            "server/tests/it/client.rs by_passive_mode",
        ],
    ),
    promise(
        "SIZE of a text is refused only where the answer would be costly.",
        &[
            "server/src/storage/local/tests/reading.rs sizes_are_those_of_a_transfer",
            "proto/tests/rfc3659/section_4.rs depends_on_the_type",
        ],
    ),
    promise(
        "425 says which side failed: nobody came in time, a refusal, no free port, no address of that kind.",
        &[
            "proto/tests/server/time.rs nobody_connects",
            "server/tests/it/transfers.rs a_data_connection_that_nobody_opens_is_given_up",
            "server/tests/it/transfers.rs a_refused_active_connection_is_told",
            "server/tests/it/transfers.rs over_ipv6",
        ],
    ),
    promise(
        "HELP lists what FEAT offers and what is answered, and no other; a bad argument of SITE is told that command's syntax.",
        &[
            "proto/tests/rfc959/section_4_1_3.rs help",
            "proto/tests/rfc959/section_4_1_3.rs site_commands_tell_their_syntax",
        ],
    ),
    promise(
        "426, 450, 451, 452, 552, 553 and 554 each for what they say, and no detail of the machine with them.",
        &[
            "proto/tests/server/files.rs an_upload_that_breaks_is_dropped",
            "proto/tests/rfc959/section_5_4.rs stor",
            "proto/tests/rfc3659/section_5.rs beyond_the_end",
            "server/tests/it/uploads.rs a_full_disk_is_told_at_once",
        ],
    ),
    promise(
        "501, 502, 503 and 504: a bad argument, no such verb, the wrong order, a parameter that is not there.",
        &["proto/tests/server/order.rs bad_lines_have_their_codes", "proto/tests/server/login.rs order_is_asked_for"],
    ),
    promise(
        "521, 522, 534 and 536 for what TLS demands.",
        &[
            "proto/tests/server/tls.rs required_means_private_data",
            "proto/tests/server/tls.rs what_went_wrong_with_data_is_said",
            "proto/tests/rfc4217/section_10.rs a_failed_handshake",
        ],
    ),
    promise(
        "ABOR: 426 and 226 for a transfer, 226 twice where that was complete, 225 or 226 at rest.",
        &[
            "proto/tests/server/aborts.rs in_the_middle_of_a_transfer",
            "proto/tests/server/aborts.rs that_comes_too_late_for_a_download",
            "proto/tests/server/aborts.rs at_rest",
            "server/tests/it/transfers.rs abor_stops_a_transfer",
        ],
    ),
    promise(
        "NOOP and STAT are answered while a transfer runs.",
        &[
            "proto/tests/server/order.rs noop_and_stat_are_answered_during_a_transfer",
            "server/tests/it/transfers.rs questions_are_answered_while_a_transfer_stalls",
        ],
    ),
    promise(
        "Telnet IP and DM before ABOR, urgent or not.",
        &[
            "proto/tests/server/aborts.rs behind_telnet_signals",
            "server/tests/it/transfers.rs urgent_abor_stops_a_transfer",
        ],
    ),
    promise(
        "OPTS UTF8 ON and CLNT are taken before the login; so are PBSZ and PROT.",
        &[
            "proto/tests/server/login.rs answered_before_login",
            "proto/tests/rfc4217/section_9.rs prot_holds_for_data_connections",
        ],
    ),
    promise(
        "USER in a session begins a new login. USER, REIN and AUTH end the old one at once: its place is free, and nobody is told of it.",
        &[
            "proto/tests/server/login.rs user_and_rein_begin_anew",
            "proto/tests/server/login.rs whoever_logs_out_is_logged_out_at_once",
            "server/tests/it/running.rs whoever_has_logged_out_is_on_no_list_and_takes_no_place",
            "server/tests/it/tls/control.rs a_login_in_clear_is_forgotten",
        ],
    ),
    promise(
        "An HTTP request as the first line is dropped, and nothing of it is run.",
        &[
            "proto/tests/server/login.rs an_http_request_is_dropped_unread",
            "proto/tests/server/login.rs an_http_request_with_an_endless_address_is_dropped_unread",
            "server/tests/it/hostile.rs a_browser_is_not_served",
        ],
    ),
    promise(
        "Type A converts line ends both ways.",
        &[
            "server/tests/it/client.rs text_has_the_line_ends_of_each_side",
            "server/src/data/upload.rs text_that_ends_with_half_a_line_end",
        ],
    ),
    promise(
        "REST lasts until a transfer or listing uses it up, whatever comes of that, or USER, REIN or ABOR; not longer, not less.",
        &[
            "proto/tests/server/files.rs rest_is_consumed_by_the_next_transfer_whatever_comes_of_it",
            "proto/tests/server/files.rs rest_is_consumed_by_a_transfer_that_is_refused",
            "proto/tests/server/files.rs rest_survives_the_commands_that_come_before_a_transfer",
            "proto/tests/server/files.rs rest_survives_what_is_no_transfer",
        ],
    ),
    promise(
        "PASV over IPv6 is refused with a text that names EPSV.",
        &[
            "proto/tests/server/data_channels.rs over_ipv6_only_the_extended_commands_do",
            "server/tests/it/transfers.rs over_ipv6",
        ],
    ),
    promise(
        "A FIN alone is not wholeness: an upload needs the control connection to its end.",
        &[
            "proto/tests/server/files.rs an_upload_whose_client_vanished_is_dropped",
            "proto/tests/server/files.rs an_upload_needs_the_control_connection_to_its_end",
            "server/tests/it/uploads.rs by_the_end_of_the_client",
            "server/tests/it/uploads.rs by_the_end_of_the_client_while_the_bytes_are_made_to_last",
        ],
    ),
    promise("Nothing that a client in use sends is 502.", &["proto/tests/drafts/in_use.rs no_verb_in_use_is_unknown"]),
    promise(
        "MODE Z both ways, for files, texts and listings, with REST; a stream that does not end makes no file.",
        &[
            "server/tests/it/compressed.rs files_go_both_ways",
            "server/tests/it/compressed.rs listings_and_texts_too",
            "server/tests/it/compressed.rs it_goes_on_where_it_was_broken_off",
            "server/tests/it/compressed.rs a_stream_that_does_not_end_makes_no_file",
        ],
    ),
    promise(
        "Digests of whole files and parts, by every algorithm, of any storage.",
        &[
            "server/tests/it/digests.rs of_every_algorithm",
            "server/tests/it/digests.rs of_a_part",
            "server/tests/it/digests.rs a_storage_that_is_no_file_system_has_them_too",
        ],
    ),
    promise(
        "RANG both ways, and REST beyond 4 GiB: of an upload just the range is written, whatever comes, and nothing is cut off.",
        &[
            "server/tests/it/ranges.rs only_the_range_is_sent",
            "server/tests/it/ranges.rs a_range_is_written_and_nothing_else",
            "server/tests/it/ranges.rs a_range_that_does_not_fit_is_refused_and_harms_nothing_outside_it",
            "server/src/storage/local/tests/uploads.rs a_range_leaves_all_else_as_it_is",
            "server/tests/it/ranges.rs beyond_four_gigabytes",
        ],
    ),
    promise(
        "STAT with a path: 212 for what is in a directory, 213 for a file.",
        &[
            "proto/tests/rfc959/section_4_1_3.rs stat_of_a_path",
            "server/tests/it/verbs.rs the_status_of_a_directory_and_that_of_a_file",
        ],
    ),
    promise(
        "COMB, RMDA, DSIZ, AVBL, MFMT, MFF, MDTM with a time, SITE UTIME and SYMLINK do what they say.",
        &[
            "server/tests/it/verbs.rs parts_become_one_file",
            "server/tests/it/verbs.rs parts_are_joined_safely_where_uploads_are_written_under_their_name",
            "server/tests/it/verbs.rs a_tree_is_removed_and_nothing_that_its_links_lead_to",
            "server/tests/it/verbs.rs what_an_upload_may_have",
            "server/tests/it/verbs.rs facts_are_set_by_every_verb_that_can",
        ],
    ),
    promise(
        "COMB and RMDA look at everything before they change anything: files by what they are, whatever their names, and what may be removed.",
        &[
            "server/tests/it/verbs.rs a_file_is_not_put_to_itself_by_another_name",
            "server/tests/it/verbs.rs nothing_is_combined_of_which_a_part_may_not_be_removed",
            "server/tests/it/verbs.rs a_tree_stays_whole_where_something_in_it_may_not_be_removed",
            "server/src/storage/local/tests/changes.rs a_file_that_is_held_is_nobody_elses_until_it_is_gone",
        ],
    ),
    promise(
        "A name holds the old file or the whole new one, never a mixture; what is being written, and its name, is nobody else's.",
        &[
            "server/src/storage/local/tests/model.rs a_name_holds_the_old_file_or_the_new_one_and_the_books_are_true",
            "server/src/storage/local/tests/parts.rs nobody_goes_on_with_the_old_file_after_an_upload_over_it_broke_off",
            "server/src/storage/local/tests/uploads.rs a_name_that_an_upload_will_get_is_given_to_nobody_else",
            "server/src/storage/local/tests/uploads.rs what_is_written_is_not_taken_away",
            "server/tests/it/parts.rs cut_anywhere_in_any_way_and_gone_on_with",
            "server/tests/it/parts.rs what_two_sessions_have_begun_is_never_mixed",
        ],
    ),
    promise(
        "HOST, or the name in the TLS handshake, chooses among the sites of a server, each with greeting, accounts and files of its own.",
        &[
            "server/tests/it/verbs.rs host_chooses_greeting_accounts_and_files",
            "server/tests/it/verbs.rs a_server_of_one_site_is_every_host",
            "server/tests/it/tls/certificates.rs the_name_that_is_asked_for_chooses_the_site",
            "server/tests/it/tls/certificates.rs the_host_that_was_named_chooses_the_certificate_where_tls_names_none",
        ],
    ),
];

pub(crate) const SECURITY: &[Promise] = &[
    promise(
        "No bounce: data goes to the client alone, a mapped address is the same client, no port below 1024, no SYN otherwise.",
        &[
            "proto/tests/server/data_channels.rs no_bounce",
            "proto/tests/server/data_channels.rs a_mapped_address_is_the_same_client",
            "server/tests/it/hostile.rs data_goes_to_nobody_but_the_client",
        ],
    ),
    promise(
        "A stranger who connects to a data port first is dropped, and the client still served.",
        &[
            "server/tests/it/hostile.rs a_stranger_at_the_data_port_gets_nothing",
            "server/src/data/passive.rs a_stranger_is_dropped_and_the_client_still_served",
        ],
    ),
    promise(
        "Passive ports come in no order, and one that was used rests; where none is left, 425 and a line of the log say so.",
        &[
            "server/src/data/ports.rs ports_are_not_in_order",
            "server/src/data/ports.rs a_port_rests_while_others_are_free",
            "server/tests/process.rs where_no_passive_port_is_left_a_session_is_told_so_and_the_operator_too",
        ],
    ),
    promise(
        "Nobody holds all passive ports: no address more than three times as many as it leaves, and none that is not used.",
        &[
            "server/src/data/ports.rs no_address_holds_all_ports",
            "server/src/data/passive.rs a_port_that_nobody_uses_is_given_up",
            "server/src/data/passive.rs a_port_that_a_transfer_waits_at_is_not_given_up",
            "server/tests/process.rs one_address_does_not_take_all_passive_ports_and_none_for_as_long_as_it_likes",
        ],
    ),
    promise(
        "Who is refused, or whose upload is ended, can read why: the data connection is not closed before that, nor broken.",
        &[
            "server/src/data/lingering.rs for_a_moment_and_no_longer",
            "server/tests/it/transfers.rs the_connection_for_a_command_that_was_refused_is_closed_with_the_next",
            "server/tests/it/transfers.rs an_upload_over_quota_can_be_sent_to_its_end",
            "server/tests/it/tls/data.rs the_connection_for_a_command_that_was_refused_is_there_until_the_reply_was_read",
            "server/tests/it/tls/data.rs an_upload_over_quota_can_be_sent_to_its_end",
        ],
    ),
    promise(
        "What came in the segment of AUTH TLS is thrown away.",
        &[
            "proto/tests/server/tls.rs nothing_behind_auth_is_read",
            "proto/tests/server/tls.rs nothing_behind_auth_is_read_while_that_waits_for_a_transfer",
            "server/tests/it/tls/control.rs what_comes_in_clear_behind_auth_is_thrown_away",
        ],
    ),
    promise(
        "The TLS session of a data connection is bound to its control connection.",
        &[
            "server/src/tls/binding.rs a_ticket_is_good_for_its_own_control_connection",
            "server/src/tls/binding.rs a_ticket_of_a_data_connection_is_good_once_that_has_resumed_a_session",
            "server/tests/it/tls/data.rs a_session_that_is_not_resumed_is_refused",
            "server/tests/it/tls/data.rs a_ticket_of_another_control_connection_is_none",
            "server/tests/it/tls/data.rs what_is_preferred_or_nothing_lets_a_new_session_in",
            "server/tests/it/tls/everyday.rs hundreds_of_transfers_on_one_control_connection",
        ],
    ),
    promise(
        "An upload under TLS without close_notify is not taken for whole.",
        &[
            "server/tests/it/tls/data.rs an_upload_without_close_notify_is_not_whole",
            "server/tests/it/tls/data.rs an_upload_is_whole_with_close_notify_whatever_follows",
        ],
    ),
    promise(
        "Where TLS is required, no password is taken in clear and no data sent in clear; other protocols are not served.",
        &[
            "server/tests/it/tls/control.rs required_means_that_no_password_comes_in_clear",
            "server/tests/it/tls/data.rs data_in_clear_is_refused_where_tls_is_required",
            "server/tests/it/tls/control.rs another_protocol_than_ftp_is_not_served",
        ],
    ),
    promise(
        "Nothing outside the root by `..`, absolute names, links, magic links or races.",
        &[
            "server/tests/it/hostile.rs nothing_outside_the_root_is_reached",
            "server/src/storage/local/tests/confinement.rs links_are_followed_inside_the_root_and_never_out_of_it",
            "server/src/storage/local/tests/confinement.rs magic_links_are_not_followed",
            "server/src/storage/local/tests/confinement.rs a_race_of_directory_and_link_wins_nothing",
            "proto/src/path.rs every_path_is_normal_and_under_the_root",
        ],
    ),
    promise(
        "Links that a user makes lead nowhere else, nor does their removal.",
        &[
            "server/tests/it/verbs.rs links_lead_nowhere_but_into_the_root",
            "server/tests/it/verbs.rs a_tree_is_removed_and_nothing_that_its_links_lead_to",
            "server/src/storage/local/tests/confinement.rs links_do_not_lead_to_what_uploads_hide",
            "proto/tests/drafts/in_use.rs targets_of_links",
        ],
    ),
    promise(
        "Patterns and recursion are bounded in time and memory, a tree of any depth harms nobody.",
        &[
            "server/src/storage/glob.rs hostile_patterns_neither_hang_nor_grow",
            "server/tests/it/verbs.rs a_deep_or_wide_pattern_costs_no_more_than_its_bound",
            "server/src/storage/local/tests/listings.rs recursion_is_bounded_and_says_so",
            "server/src/storage/local/tests/listings.rs a_tree_deeper_than_any_path_harms_nobody",
            "server/src/storage/local/tests/listings.rs a_tree_of_ten_thousand_levels_harms_nobody",
            "server/src/storage/local/tests/listings.rs nobody_reads_what_nobody_waits_for",
            "server/tests/it/verbs.rs a_tree_that_is_too_deep_is_left_as_it_is",
        ],
    ),
    promise(
        "An endless line is one error; a byte a minute is no login and no transfer; replies that nobody reads, or only a byte now and then, end the session.",
        &[
            "server/tests/it/hostile.rs an_endless_line_is_one_error",
            "proto/tests/server/order.rs an_overlong_line_is_refused_and_its_tail_never_run",
            "proto/tests/server/time.rs one_byte_a_minute_is_no_login",
            "proto/tests/server/pace.rs a_byte_a_minute_is_no_transfer",
            "server/tests/it/hostile.rs replies_that_nobody_reads_end_the_session",
            "server/src/session/control.rs a_client_that_takes_a_little_now_and_then_is_not_waited_for_for_ever",
        ],
    ),
    promise(
        "Floods of connections, in all and from one address, lock nobody out.",
        &[
            "server/tests/it/hostile.rs a_thousand_silent_connections_lock_nobody_out",
            "server/tests/it/hostile.rs sessions_that_are_logged_in_are_not_turned_out",
            "server/src/limits.rs a_flood_waits_for_those_who_leave",
            "server/tests/process.rs ten_thousand_connections_that_are_reset_leave_nothing",
            "server/tests/process.rs connections_beyond_a_limit_are_told_so_and_the_log_does_not_grow",
            "server/tests/process.rs a_server_without_descriptors_waits_for_some",
        ],
    ),
    promise(
        "Whatever is sent, aborted or cut off in whatever order, nothing is left open and no part is taken for the whole.",
        &[
            "proto/tests/server/properties.rs nothing_is_left_open_and_no_part_is_taken_for_the_whole",
            "proto/tests/server/properties.rs no_bytes_and_no_cut_do_harm",
            "server/tests/it/hostile.rs a_client_that_vanishes_leaves_nothing_running",
            "server/tests/process.rs of_a_session_that_is_cut_off_at_any_byte_nothing_is_left",
            "server/tests/process/secure.rs of_a_session_under_tls_that_is_cut_off_anywhere_nothing_is_left",
        ],
    ),
    promise(
        "Commands that come too fast wait, and none is lost; who speaks something else is sent away.",
        &[
            "proto/tests/server/pace.rs a_flood_of_commands_is_slowed_down_and_none_is_lost",
            "proto/tests/server/pace.rs who_speaks_something_else_is_sent_away",
            "proto/tests/server/order.rs who_sends_far_ahead_is_slowed_down_and_loses_nothing",
        ],
    ),
    promise(
        "Only a trusted proxy says who the client is (PROXY protocol), for control and data connections alike, and not a byte \
         behind its header is lost.",
        &[
            "server/src/proxy.rs the_client_is_whom_the_header_names",
            "server/src/proxy.rs what_is_no_header_is_refused",
            "server/src/proxy.rs a_header_that_does_not_come_is_not_waited_for",
            "server/src/proxy.rs not_a_byte_behind_the_header_is_taken",
            "server/tests/it/proxy.rs data_comes_through_the_proxy_as_well",
            "server/tests/it/tls/control.rs tls_begins_behind_the_header_of_a_proxy",
            "server/tests/it/proxy.rs nobody_else_may_say_who_they_are",
            "server/tests/it/proxy.rs active_mode_passes_the_proxy_by",
            "proto/tests/server/login.rs the_header_of_a_proxy_that_is_not_trusted_is_dropped_unread",
        ],
    ),
    promise(
        "Hostile names of files and users stay in their line, in replies, listings, logs, recordings and drawings.",
        &[
            "proto/src/reply.rs hostile_text_adds_no_line",
            "proto/src/listing/write/unix.rs hostile_names_and_accounts_stay_in_their_line_and_column",
            "proto/src/listing/write/mlsx.rs hostile_names_and_values_add_no_line_and_no_fact",
            "server/tests/it/hostile.rs names_cannot_break_a_listing",
            "server/tests/process.rs no_name_forges_a_line_of_the_log_or_steers_a_terminal",
            "trace/tests/trace/recordings.rs a_recording_steers_no_terminal",
            "trace/tests/trace/anything.rs anything_can_be_drawn",
        ],
    ),
    promise(
        "Setting the machine's clock ends no session and keeps none alive.",
        &[
            "server/src/clock.rs the_wall_clock_is_read_once",
            "server/src/clock.rs a_moment_becomes_the_same_instant",
            "proto/tests/no_io.rs no_line_of_this_crate_does_io",
        ],
    ),
    promise(
        "Telnet commands at every offset of a line; 0xFF in names comes through both ways.",
        &[
            "proto/tests/rfc959/section_5_3.rs telnet_at_every_place",
            "proto/src/line.rs telnet_commands_anywhere_change_no_line",
            "proto/src/line.rs any_segmentation_gives_the_same_lines",
            "proto/src/line.rs written_lines_read_back",
            "proto/tests/rfc2640/section_2.rs names_are_bytes",
        ],
    ),
    promise(
        "REST −1, 2^63 and 2^64 are refused; REST goes with neither APPE nor STOU.",
        &["proto/tests/rfc3659/section_5.rs numbers", "proto/tests/rfc3659/section_5.rs not_with_appe_and_stou"],
    ),
    promise(
        "A bomb in MODE Z is written in small pieces, each counted first, and ends at the quota.",
        &[
            "server/src/data/deflate.rs a_bomb_comes_in_pieces",
            "server/tests/it/compressed.rs a_bomb_stops_at_the_quota",
        ],
    ),
    promise(
        "A digest ends with ABOR and with its client, few run at a time, and guests have a limit of size.",
        &[
            "server/tests/it/digests.rs an_abort_ends_one_that_takes_long",
            "server/tests/it/digests.rs the_end_of_the_client_ends_them_and_others_have_their_turn",
            "server/tests/it/digests.rs guests_have_a_limit",
            "proto/tests/drafts/bryan_hash.rs the_end_of_the_client_ends_it",
        ],
    ),
    promise(
        "One answer for an unknown user and a wrong password; three tries, then 421; bans that do not lock out an owner.",
        &[
            "proto/tests/rfc2577/section_6.rs are_not_told",
            "proto/tests/server/login.rs three_wrong_passwords_end_the_connection",
            "server/tests/it/logins.rs an_address_that_fails_often_is_turned_away_until_the_ban_is_lifted",
            "server/tests/it/logins.rs an_account_under_attack_lets_its_owner_in",
            "server/src/account/guard.rs strangers_do_not_lock_out_an_owner",
        ],
    ),
    promise(
        "Passwords are in no event, however they are written.",
        &[
            "proto/tests/server/secrets.rs passwords_are_no_part_of_events_however_they_are_written",
            "proto/tests/server/secrets.rs a_session_that_is_shown_shows_no_password",
        ],
    ),
    promise(
        "Who is logged in is told to nobody who may not know it.",
        &["server/tests/it/verbs.rs who_is_told_is_a_matter_of_permission", "proto/tests/drafts/in_use.rs site"],
    ),
    promise(
        "CCC is refused before a login, and unless it is permitted.",
        &[
            "proto/tests/server/tls.rs ccc_is_for_who_is_logged_in_and_where_it_is_permitted",
            "server/tests/it/tls/control.rs ccc_goes_on_in_clear_without_losing_a_byte",
            "tls/tests/engine.rs what_comes_in_order_behind_the_last_word_is_read",
            "tls/tests/engine.rs junk_behind_the_last_word_is_an_error_and_is_not_answered",
            "server/tests/it/tls/control.rs ccc_is_not_permitted_unless_it_is",
        ],
    ),
    promise("Few passwords are hashed at a time.", &["server/src/account/password.rs only_so_many_wait"]),
    promise("No command behind SITE runs a program.", &["proto/tests/drafts/in_use.rs nothing_is_executed"]),
];
