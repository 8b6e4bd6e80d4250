//! Faults that were found once, and the tests that find them again; and the parsers, with the tests that try any text.

/// A fault that was mended, and the tests that fail where it comes back.
pub(super) struct Fault {
    /// What happened, in a sentence.
    pub(super) what: &'static str,
    /// Tests, by the names of their functions.
    pub(super) tests: &'static [&'static str],
}

/// What is parsed, and the property tests of it: they run with all others.
pub(super) struct Parser {
    /// What it is that is parsed.
    pub(super) what: &'static str,
    /// Tests, by the names of their functions.
    pub(super) tests: &'static [&'static str],
}

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        what: "`mini-container run --net` that failed waited for its own lock; any user could hold that lock for ever.",
        tests: &["a_lock_that_is_held_is_waited_for_and_told"],
    },
    Fault {
        what: "Without CAP_KILL, or with pidfd_send_signal(2) refused, a parent waited 10 s for each of its children.",
        tests: &["a_child_ends_where_pidfd_send_signal_is_hidden", "a_child_ends_that_may_not_be_signalled"],
    },
    Fault {
        what: "A container that could not be set up ended with the command's status, and without a word.",
        tests: &["a_command_that_cannot_be_started_has_no_status", "small_limits_are_named"],
    },
    Fault {
        what: "`--pause`, killed by a signal, left the terminal without echo.",
        tests: &[
            "a_signal_in_a_pause_leaves_nothing",
            "sigkill_in_a_pause_leaves_nothing",
            "sigkill_with_an_open_shell_gives_the_terminal_back",
        ],
    },
    Fault {
        what: "cgroup-mk, killed between a rename and its report, left a directory for ever.",
        tests: &["killed_between_two_renames_it_leaves_no_directory", "a_start_sweeps_what_dead_owners_left"],
    },
    Fault {
        what: "With `ulimit -c unlimited`, children that die of a signal left core files.",
        tests: &["nothing_is_left_after_a_run"],
    },
    Fault {
        what: "A container whose streams are no terminal read the caller's keyboard through standard error.",
        tests: &[
            "nothing_typed_is_read_through_standard_error",
            "a_file_is_passed_on_and_not_handed_over",
            "a_directory_is_no_way_out",
        ],
    },
    Fault {
        what: "Small limits on processes, descriptors, memory or file sizes ended in the text of a panic.",
        tests: &["small_limits_are_named", "a_write_beyond_the_limit_on_file_sizes_says_so"],
    },
    Fault {
        what: "Help or output that could not be written was lost, with exit status 0.",
        tests: &["lost_output_is_told"],
    },
    Fault {
        what: "A refused ID map was shown as a debugger shows it.",
        tests: &["a_refusal_names_the_line"],
    },
    Fault {
        what: "An archive with thousands of directories behind links ended in 'nothing within 10 s'.",
        tests: &["who_follows_links_for_long_shows_signs_of_life"],
    },
    Fault {
        what: "A call that the machine refuses was named with its errno alone, and no reason and remedy.",
        tests: &[
            "a_refused_call_has_its_cause_and_a_remedy",
            "a_setting_that_forbids_user_namespaces_is_named",
            "a_user_namespace_with_one_id_maps_no_more",
        ],
    },
    Fault {
        what: "Names with U+202E and the like made a line read otherwise than it stands.",
        tests: &["nothing_that_a_terminal_obeys_gets_through", "of_all_characters_nothing_deceptive_is_left"],
    },
    Fault {
        what: "A mount point that is no UTF-8 made the list of mounts unreadable; one with a blank was not found.",
        tests: &["every_path_is_read_as_it_was_named"],
    },
    Fault {
        what: "A process whose name is no UTF-8 had no status, and of a name with a colon the rest was lost.",
        tests: &["a_process_may_have_any_name", "what_the_name_holds_is_no_other_field"],
    },
    Fault {
        what: "A file of an archive that was refused read as if it were one of the host's.",
        tests: &["any_archive_is_unpacked_or_refused"],
    },
    Fault {
        what: "A netlink answer with the errno -2³¹ overflowed.",
        tests: &["an_errno_that_is_none_is_no_panic"],
    },
];

pub(super) const PARSERS: &[Parser] = &[
    Parser { what: "ID maps", tests: &["what_is_taken_maps_no_id_twice"] },
    Parser {
        what: "/proc/PID/mountinfo",
        tests: &["every_path_is_read_as_it_was_named", "a_line_that_cannot_be_read_hides_no_other"],
    },
    Parser {
        what: "/proc/PID/status and stat",
        tests: &["a_damaged_file_is_no_panic", "what_the_name_holds_is_no_other_field"],
    },
    Parser {
        what: "cgroup.procs, memory.events and the like",
        tests: &["members_are_read_as_they_were_written", "events_are_read_as_they_were_written"],
    },
    Parser { what: "/proc/PID/cgroup", tests: &["a_line_is_read_as_the_kernel_writes_it"] },
    Parser { what: "timens_offsets", tests: &["offsets_are_read_as_the_kernel_writes_them"] },
    Parser { what: "links of /proc/PID/ns", tests: &["every_link_is_read_as_it_is_printed"] },
    Parser { what: "the kernel's release", tests: &["every_release_gives_its_version"] },
    Parser {
        what: "netlink answers",
        tests: &["no_bytes_can_make_it_panic", "an_errno_that_is_none_is_no_panic"],
    },
    Parser {
        what: "names of cgroups, links and hosts",
        tests: &[
            "a_name_is_taken_as_it_is_or_refused_with_one_that_is_taken",
            "every_name_is_taken_as_it_is_or_refused_in_one_printable_line",
            "a_name_is_taken_or_refused_in_one_line",
        ],
    },
    Parser {
        what: "transcripts, and every form in which they are shown",
        tests: &[
            "a_damaged_transcript_is_told_and_not_believed",
            "nothing_that_a_terminal_obeys_gets_through",
            "what_a_terminal_would_obey_is_escaped_and_means_the_same",
        ],
    },
    Parser { what: "the file of predictions", tests: &["any_score_is_read_line_by_line"] },
    Parser { what: "answers from a file", tests: &["any_file_of_answers_has_an_end"] },
    Parser { what: "keys from a terminal", tests: &["any_bytes_are_keys"] },
    Parser { what: "the list of the notes' sentences", tests: &["any_list_is_read_or_refused"] },
    Parser { what: "Markdown", tests: &["any_markdown_is_shown_and_nothing_of_it_obeyed"] },
    Parser {
        what: "archives and images",
        tests: &[
            "any_archive_is_unpacked_or_refused",
            "hostile_archives_are_refused",
            "hostile_images_are_refused",
        ],
    },
    Parser { what: "heads of ELF files", tests: &["a_damaged_header_names_no_loader_or_one_that_is_there"] },
    Parser {
        what: "command lines",
        tests: &["any_command_line_is_taken_or_refused_in_one_line", "misuse_gets_one_line_and_exit_2"],
    },
];
