//! `tollgate hash-password`: a password as the configuration and the store keep it.

use std::io::{self, IsTerminal as _, Read as _};

use zeroize::Zeroizing;

use super::command::Exit;
use super::hidden::{Hidden, NotTyped};
use super::terminal::{complain, say};
use crate::accounts::password::{Cost, HashError, LONGEST, StoredPassword};
use crate::base::secret::Secret;
use crate::base::units;

/// Hash a password with Argon2id
///
/// The password is asked for twice, and does not show; or it is read from standard input when that is no terminal, where one
/// line end after it is not part of it. The hash goes to standard output, as a PHC string. It is different each time,
/// because its salt is; each of them holds for the password. The default cost is the least that OWASP advises; a login
/// takes as long, and as much memory, as the hash says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tollgate hash-password
  tollgate hash-password --memory 64MiB --passes 3 < password.txt")]
pub(super) struct Args {
    /// Memory of one hash, up to 256MiB
    #[arg(long, value_name = "SIZE", default_value = "19MiB", value_parser = kibibytes)]
    memory: u32,
    /// Passes over the memory, 1 to 10; memory times passes must be 35MiB or more
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=10))]
    passes: u32,
}

/// The least of memory times passes, in KiB: that of the cheapest of the pairs that OWASP has for equal (7 MiB and 5 passes).
const LEAST_WORK: u32 = 35 << 10;

/// Why there is no hash.
#[derive(Debug, thiserror::Error)]
enum NoHash {
    #[error("--memory times --passes must be 35MiB or more")]
    Weak,
    #[error(transparent)]
    Typed(#[from] NotTyped),
    #[error("cannot read standard input: {0}")]
    Input(#[from] io::Error),
    #[error("the two are not the same")]
    Different,
    #[error("the password is not UTF-8, so no client could send it")]
    Encoding,
    #[error(
        "the password has a control character (a line end, a tab or the like), so not every client could send it"
    )]
    Control,
    #[error(transparent)]
    Hash(#[from] HashError),
}

pub(super) fn run(args: &Args) -> Exit {
    match hashed(args) {
        Ok(stored) => {
            say(&stored.to_phc());
            Exit::Success
        }
        Err(error) => {
            complain(&format_args!("tollgate hash-password: {error}"));
            match error {
                NoHash::Weak => Exit::Usage,
                NoHash::Typed(_)
                | NoHash::Input(_)
                | NoHash::Different
                | NoHash::Encoding
                | NoHash::Control
                | NoHash::Hash(_) => Exit::Failure,
            }
        }
    }
}

fn hashed(args: &Args) -> Result<StoredPassword, NoHash> {
    if args.memory.saturating_mul(args.passes) < LEAST_WORK {
        return Err(NoHash::Weak);
    }
    let password = if io::stdin().is_terminal() {
        typed()?
    } else {
        read(io::stdin())?
    };
    check(&password)?;
    // The ranges of the options are those of the cost.
    let cost = Cost::new(args.memory, args.passes, 1).unwrap_or(Cost::USUAL);
    Ok(StoredPassword::hash(&password, cost)?)
}

fn typed() -> Result<Secret, NoHash> {
    let mut hidden = Hidden::begin().map_err(NotTyped::Terminal)?;
    let first = hidden.line("Password: ", LONGEST)?;
    let again = hidden.line("The same again: ", LONGEST)?;
    if first == again {
        Ok(first)
    } else {
        Err(NoHash::Different)
    }
}

/// All of standard input, without the line end that most tools put after a text.
fn read(input: impl io::Read) -> Result<Secret, NoHash> {
    // With room for the line end, and for a byte by which one that is too long is seen to be too long.
    let most = LONGEST + 3;
    let mut bytes = Zeroizing::new(Vec::with_capacity(most + 1));
    input.take(most as u64).read_to_end(&mut bytes)?;
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Ok(Secret::new(line.to_vec()))
}

fn check(password: &Secret) -> Result<(), NoHash> {
    if password.reveal().len() > LONGEST {
        return Err(HashError::TooLong.into());
    }
    let text = std::str::from_utf8(password.reveal()).map_err(|_| NoHash::Encoding)?;
    if text.chars().any(char::is_control) {
        return Err(NoHash::Control);
    }
    Ok(())
}

fn kibibytes(text: &str) -> Result<u32, String> {
    let bytes = units::size(text)?;
    u32::try_from(bytes >> 10)
        .ok()
        .filter(|memory| bytes % 1024 == 0 && Cost::new(*memory, 1, 1).is_ok())
        .ok_or_else(|| format!("`{text}` is not up to 256MiB in whole KiB"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(input: &[u8]) -> Result<Vec<u8>, String> {
        let password = read(input).map_err(|error| error.to_string())?;
        check(&password).map_err(|error| error.to_string())?;
        Ok(password.reveal().to_vec())
    }

    #[test]
    fn one_line_end_is_not_part_of_the_password() {
        for input in [&b"correct horse"[..], b"correct horse\n", b"correct horse\r\n"] {
            assert_eq!(of(input), Ok(b"correct horse".to_vec()));
        }
        assert_eq!(of(" ä ".as_bytes()), Ok(" ä ".as_bytes().to_vec()));
        assert_eq!(of(b""), Ok(Vec::new()), "which is refused when it is hashed");
    }

    #[test]
    fn what_no_client_could_send_is_refused() {
        assert!(of(b"a\xff").unwrap_err().contains("UTF-8"));
        for input in [&b"a\nb"[..], b"a\n\n", b"a\0", b"a\tb", b"\x1b[A"] {
            assert!(of(input).unwrap_err().contains("control"), "{input:?}");
        }
        assert!(of(&[b'a'; LONGEST]).is_ok());
        let longest_line = [&[b'a'; LONGEST][..], b"\r\n"].concat();
        assert!(of(&longest_line).is_ok());
        assert!(of(&[b'a'; LONGEST + 1]).unwrap_err().contains("longer"));
        assert!(of(&[b'a'; 1 << 20]).unwrap_err().contains("longer"));
    }

    #[test]
    fn memory_is_a_size_within_the_bounds_of_a_hash() {
        assert_eq!(kibibytes("19MiB"), Ok(19_456));
        assert_eq!(kibibytes("8KiB"), Ok(8));
        assert_eq!(kibibytes("256MiB"), Ok(262_144));
        for text in ["7KiB", "257MiB", "9000B", "19", "x", "16777216GiB"] {
            assert!(kibibytes(text).is_err(), "{text}");
        }
    }
}
