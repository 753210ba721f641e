use std::collections::HashSet;

use super::*;

const NOW: UnixTime = UnixTime(1_700_000_000);

fn folder() -> (tempfile::TempDir, KeyFolder) {
    let place = tempfile::tempdir().unwrap();
    let folder = KeyFolder::new(&place.path().join("keys"));
    (place, folder)
}

fn made() -> (tempfile::TempDir, KeyFolder) {
    let (place, folder) = folder();
    folder.make(Algorithm::ES256, NOW).unwrap();
    (place, folder)
}

fn states(entries: &[KeyEntry]) -> Vec<KeyState> {
    entries.iter().map(|entry| entry.state).collect()
}

fn kid(entries: &[KeyEntry], state: KeyState) -> String {
    let mut of = entries.iter().filter(|entry| entry.state == state);
    let only = of.next().unwrap();
    assert!(of.next().is_none());
    only.kid.clone()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn keys_are_made_once_and_only_their_owner_may_read_them() {
    let (_place, folder) = made();
    let first = folder.entries().unwrap();
    assert_eq!(states(&first), [KeyState::Current, KeyState::Next]);
    assert_eq!(mode(folder.path()), 0o700);
    for entry in &first {
        assert_eq!(mode(&folder.pem(&entry.kid)), 0o600);
    }
    assert_eq!(mode(&folder.path().join(INDEX)), 0o600);
    folder.make(Algorithm::ES256, NOW).unwrap();
    assert_eq!(folder.entries().unwrap(), first);
    let read = folder.read().unwrap();
    assert_eq!(read.keys.len(), 2);
    for (entry, key) in &read.keys {
        assert_eq!(key.id(), Some(entry.kid.as_str()));
        assert_eq!(key.kind(), KeyKind::P256);
    }
}

#[test]
fn of_many_processes_that_start_at_once_one_makes_the_keys() {
    let (_place, folder) = folder();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| folder.make(Algorithm::EdDSA, NOW).unwrap());
        }
    });
    assert_eq!(folder.read().unwrap().keys.len(), 2);
    let files = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(files, 4, "two keys, the index and the lock");
}

#[test]
fn a_rotation_moves_every_key_one_step_on() {
    let (_place, folder) = made();
    let first = folder.entries().unwrap();
    let second = folder.rotate(Retiring::Keep, NOW).unwrap();
    assert_eq!(folder.entries().unwrap(), second);
    assert_eq!(kid(&second, KeyState::Current), kid(&first, KeyState::Next));
    assert_eq!(kid(&second, KeyState::Previous), kid(&first, KeyState::Current));
    let later = NOW.plus(LONGEST_TOKEN);
    let third = folder.rotate(Retiring::Keep, later).unwrap();
    assert_eq!(kid(&third, KeyState::Current), kid(&second, KeyState::Next));
    assert_eq!(kid(&third, KeyState::Previous), kid(&second, KeyState::Current));
    let gone = kid(&second, KeyState::Previous);
    assert!(
        !folder.pem(&gone).exists(),
        "what the index no longer names is removed"
    );
    let kids: HashSet<_> = first
        .iter()
        .chain(&second)
        .chain(&third)
        .map(|entry| &entry.kid)
        .collect();
    assert_eq!(kids.len(), 4);
}

#[test]
fn a_key_whose_tokens_may_be_good_does_not_go_unless_it_is_asked_for() {
    let (_place, folder) = made();
    folder.rotate(Retiring::Keep, NOW).unwrap();
    let before = folder.entries().unwrap();
    let early = UnixTime(NOW.0 + 86_399);
    let refused = folder.rotate(Retiring::Keep, early).unwrap_err();
    assert!(
        matches!(&refused, KeyFolderError::TooEarly { kid: of, left }
        if *of == kid(&before, KeyState::Previous) && *left == Duration::from_secs(1)),
        "{refused}"
    );
    assert_eq!(folder.entries().unwrap(), before);
    let after = folder.rotate(Retiring::KeepAndForce, early).unwrap();
    assert_eq!(kid(&after, KeyState::Previous), kid(&before, KeyState::Current));
}

#[test]
fn a_stolen_key_goes_at_once_with_the_one_before_it() {
    let (_place, folder) = made();
    folder.rotate(Retiring::Keep, NOW).unwrap();
    let before = folder.entries().unwrap();
    let after = folder.rotate(Retiring::Revoke, NOW).unwrap();
    assert_eq!(states(&after), [KeyState::Current, KeyState::Next]);
    assert_eq!(kid(&after, KeyState::Current), kid(&before, KeyState::Next));
    for state in [KeyState::Current, KeyState::Previous] {
        assert!(!folder.pem(&kid(&before, state)).exists());
    }
}

#[test]
fn a_folder_without_an_index_is_not_rotated() {
    let (_place, folder) = folder();
    assert!(matches!(
        folder.rotate(Retiring::Keep, NOW),
        Err(KeyFolderError::Empty(_))
    ));
    assert!(!folder.path().exists());
    assert!(matches!(folder.entries(), Err(KeyFolderError::Empty(_))));
}

#[test]
fn an_index_that_is_not_what_it_should_be_is_refused_and_left_as_it_is() {
    let (_place, folder) = made();
    let good = folder.entries().unwrap();
    let (one, other) = (&good[0].kid, &good[1].kid);
    for (index, why) in [
        ("".to_owned(), "EOF"),
        ("[]".to_owned(), "invalid"),
        ("{\"keys\":[]}".to_owned(), "one `current`"),
        ("{\"keys\":[],\"more\":1}".to_owned(), "unknown field"),
        (
            format!("{{\"keys\":[{{\"kid\":\"../{one}\",\"state\":\"current\",\"since\":0}}]}}"),
            "letters, digits",
        ),
        (
            format!("{{\"keys\":[{{\"kid\":\"{one}\",\"state\":\"retired\",\"since\":0}}]}}"),
            "unknown variant",
        ),
        (
            format!(
                "{{\"keys\":[{{\"kid\":\"{one}\",\"state\":\"current\",\"since\":0}},\
                 {{\"kid\":\"{one}\",\"state\":\"next\",\"since\":0}}]}}"
            ),
            "twice",
        ),
        (
            format!(
                "{{\"keys\":[{{\"kid\":\"{one}\",\"state\":\"current\",\"since\":0}},\
                 {{\"kid\":\"{other}\",\"state\":\"current\",\"since\":0}}]}}"
            ),
            "one `current`",
        ),
        (" ".repeat(70_000), "more than"),
    ] {
        fs::write(folder.path().join(INDEX), &index).unwrap();
        for refused in [
            folder.read().unwrap_err(),
            folder.rotate(Retiring::Revoke, NOW).unwrap_err(),
        ] {
            assert!(refused.to_string().contains(why), "{index:.80}: {refused}");
        }
        assert_eq!(fs::read_to_string(folder.path().join(INDEX)).unwrap(), index);
    }
}

#[test]
fn a_key_file_that_is_missing_or_of_another_kind_is_said_by_name() {
    let (_place, folder) = made();
    let entries = folder.entries().unwrap();
    let path = folder.pem(&kid(&entries, KeyState::Next));
    fs::write(&path, "nothing").unwrap();
    let refused = folder.read().unwrap_err().to_string();
    assert!(refused.contains(path.to_str().unwrap()), "{refused}");
    let other = SigningKey::generate(Algorithm::EdDSA).unwrap().to_pem().unwrap();
    fs::write(&path, other).unwrap();
    assert!(folder.read().unwrap_err().to_string().contains("different kinds"));
    fs::remove_file(&path).unwrap();
    let refused = folder.read().unwrap_err();
    assert!(
        matches!(&refused, KeyFolderError::File { doing: "read", path: of, .. } if *of == path),
        "{refused}"
    );
}

#[test]
fn a_next_key_that_somebody_took_out_is_made_anew() {
    let (_place, folder) = made();
    let mut entries = folder.entries().unwrap();
    entries.retain(|entry| entry.state == KeyState::Current);
    folder
        .replace_index(&Index {
            keys: entries.clone(),
        })
        .unwrap();
    let after = folder.rotate(Retiring::Keep, NOW).unwrap();
    assert_eq!(
        states(&after),
        [KeyState::Previous, KeyState::Current, KeyState::Next]
    );
    assert_eq!(kid(&after, KeyState::Previous), entries[0].kid);
    assert_eq!(folder.read().unwrap().keys.len(), 3);
}
