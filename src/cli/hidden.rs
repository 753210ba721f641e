//! Lines that are typed and do not show.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd as _;

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::terminal::{complain, hint};
use crate::base::secret::Secret;

/// The terminal at standard input while it shows nothing. It shows again when this is dropped.
///
/// Ctrl-C is read like any other key, because a signal would leave the terminal as it is now.
pub(super) struct Hidden {
    terminal: File,
    shown: Termios,
}

/// Why no line was typed.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotTyped {
    /// Ctrl-C, or Ctrl-D on an empty line, or the terminal went away.
    #[error("interrupted")]
    Interrupted,
    /// The terminal.
    #[error("cannot read from the terminal: {0}")]
    Terminal(#[from] io::Error),
}

impl Hidden {
    /// Hides what is typed from now on; what was typed before is thrown away.
    pub(super) fn begin() -> io::Result<Hidden> {
        let terminal = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        let shown = tcgetattr(&terminal)?;
        let mut hidden = shown.clone();
        hidden
            .local_modes
            .remove(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
        hidden.special_codes[SpecialCodeIndex::VMIN] = 1;
        hidden.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&terminal, OptionalActions::Flush, &hidden)?;
        Ok(Hidden { terminal, shown })
    }

    /// Asks for a line, which may hold at most `longest` bytes; of a longer one the first `longest + 1` are read.
    pub(super) fn line(&mut self, prompt: &str, longest: usize) -> Result<Secret, NotTyped> {
        hint(prompt);
        let mut line = Line::new(longest);
        let mut key = Zeroizing::new([0]);
        let typed = loop {
            // Key by key and without a buffer that nobody would clear.
            if self.terminal.read(key.as_mut_slice())? == 0 {
                break Err(NotTyped::Interrupted);
            }
            let [byte] = *key;
            match line.press(byte) {
                Pressed::More => {}
                Pressed::Enter => break Ok(Secret::new(line.bytes.to_vec())),
                Pressed::Interrupt => break Err(NotTyped::Interrupted),
            }
        };
        // The line end that was typed did not show either.
        complain(&"");
        typed
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // A terminal that went away needs nothing more.
        let _ = tcsetattr(&self.terminal, OptionalActions::Flush, &self.shown);
    }
}

/// A line under the keys that a terminal would handle by itself if it showed anything.
struct Line {
    bytes: Zeroizing<Vec<u8>>,
    longest: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum Pressed {
    More,
    Enter,
    Interrupt,
}

impl Line {
    fn new(longest: usize) -> Line {
        Line {
            // Never moved, so no copy stays behind.
            bytes: Zeroizing::new(Vec::with_capacity(longest + 1)),
            longest,
        }
    }

    fn press(&mut self, key: u8) -> Pressed {
        const CTRL_C: u8 = 0x03;
        const CTRL_D: u8 = 0x04;
        const BACKSPACE: u8 = 0x08;
        const CTRL_U: u8 = 0x15;
        const DELETE: u8 = 0x7f;
        match key {
            b'\r' | b'\n' => return Pressed::Enter,
            CTRL_C => return Pressed::Interrupt,
            CTRL_D if self.bytes.is_empty() => return Pressed::Interrupt,
            CTRL_D => return Pressed::Enter,
            BACKSPACE | DELETE => {
                // One character, of as many bytes as it has in UTF-8.
                while self.bytes.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
            }
            CTRL_U => self.bytes.clear(),
            typed if self.bytes.len() <= self.longest => self.bytes.push(typed),
            _ => {}
        }
        Pressed::More
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &[u8]) -> (Pressed, Vec<u8>) {
        let mut line = Line::new(8);
        let mut last = Pressed::More;
        for key in keys {
            assert_eq!(last, Pressed::More, "keys after the end");
            last = line.press(*key);
        }
        (last, line.bytes.to_vec())
    }

    #[test]
    fn keys_that_change_a_line_change_it() {
        for (keys, line) in [
            (&b"abc\r"[..], &b"abc"[..]),
            (b"abd\x7fc\n", b"abc"),
            (b"a\xc3\xa4\x08b\n", b"ab"),
            (b"\x7f\x7fa\n", b"a"),
            (b"wrong\x15abc\n", b"abc"),
            (b"abc\x04", b"abc"),
            (b"\n", b""),
        ] {
            assert_eq!(typed(keys), (Pressed::Enter, line.to_vec()), "{keys:?}");
        }
        assert_eq!(typed(b"ab\x03").0, Pressed::Interrupt);
        assert_eq!(typed(b"\x04").0, Pressed::Interrupt);
    }

    #[test]
    fn a_line_that_is_too_long_stays_too_long() {
        assert_eq!(typed(b"123456789abcdef\n").1, b"123456789");
    }
}
