use super::command::{Exit, command, without_command};

fn ending(line: &str) -> Option<Exit> {
    without_command(std::iter::once("tollgate").chain(line.split_whitespace()))
}

#[test]
fn a_wrong_command_line_ends_with_64_and_help_with_0() {
    for line in [
        "",
        "nonsense",
        "run --nonsense",
        "stub --status 42",
        "stub --address nowhere",
        "stub --delay 5",
        "hash-password secret",
        "hash-password --memory 1GiB",
        "hash-password --passes 11",
        "keys",
        "keys rotate",
        "keys rotate --directory keys --force --revoke",
    ] {
        assert_eq!(ending(line), Some(Exit::Usage), "{line}");
    }
    for line in ["--help", "--version", "run --help"] {
        assert_eq!(ending(line), Some(Exit::Success), "{line}");
    }
    assert_eq!(ending("run --config tollgate.yaml"), None);
}

#[test]
fn the_exit_codes_are_those_of_the_contract() {
    let codes = [Exit::Success, Exit::Failure, Exit::Usage, Exit::Config].map(Exit::code);
    assert_eq!(codes, [0, 1, 64, 78]);
}

#[test]
fn the_help_of_every_command_shows_an_example() {
    fn check(command: &mut clap::Command, path: &str) {
        if command.get_name() == "help" {
            return;
        }
        let path = format!("{path} {}", command.get_name());
        let help = command.render_long_help().to_string();
        assert!(
            help.contains("Example:\n  tollgate ") || help.contains("Examples:\n  tollgate "),
            "{path}:\n{help}"
        );
        for sub in command.get_subcommands_mut() {
            check(sub, &path);
        }
    }
    let mut command = command();
    command.clone().debug_assert();
    check(&mut command, "");
}

#[test]
fn help_is_shown_as_it_was_written() {
    fn check(command: &mut clap::Command) {
        let help = command.render_long_help().to_string();
        // An example that is broken into two lines cannot be copied.
        let after = command.get_after_help().map(ToString::to_string);
        for line in after.unwrap_or_default().lines() {
            assert!(help.lines().any(|shown| shown == line), "{line}\n\n{help}");
        }
        // The paragraphs of a command stand at its `Args`, and are easily hidden by a comment at its variant.
        let long = command.get_long_about().map(ToString::to_string);
        for word in long.iter().flat_map(|text| text.split_whitespace()) {
            assert!(help.contains(word), "{word}\n\n{help}");
        }
        for sub in command.get_subcommands_mut() {
            check(sub);
        }
    }
    check(&mut command());
    let mut mint = command();
    let mint = mint
        .find_subcommand_mut("token")
        .and_then(|token| token.find_subcommand_mut("mint"));
    let help = mint.unwrap().render_long_help().to_string();
    assert!(
        help.contains("`{number}`") && help.contains("is JSON where it can be read as JSON"),
        "{help}"
    );
}
