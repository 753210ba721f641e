//! A second process with the same file: this test program, started once more. It does what it reads from its input, one line
//! each, and answers one line each.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use futures_util::future::join_all;
use tollgate::base::digest::Digest;
use tollgate::base::secret::Secret;
use tollgate::identity::FamilyId;
use tollgate::store::model::{NewFamily, User, UserState};
use tollgate::store::outcome::{Access, Redemption, Rotation};
use tollgate::store::{Store, StoreError, StorePlan};

use crate::world::{
    POLICY, a_code, a_family, a_session, a_user, at, first, key, next, opaque, operator, present, realm,
    refreshing, tokens,
};

const FILE: &str = "STORE_CHILD_FILE";

/// The process, seen from the test.
pub struct Process {
    pub child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Process {
    /// Starts it on the store at `path`. With `shell` in front, if there is something to prepare.
    pub fn start(path: &Path, shell: Option<&str>) -> Process {
        let program = std::env::current_exe().unwrap();
        let mut command = match shell {
            None => Command::new(&program),
            Some(prepare) => {
                let mut command = Command::new("sh");
                command
                    .args(["-c", &format!("{prepare}; exec \"$0\" \"$@\"")])
                    .arg(&program);
                command
            }
        };
        let mut child = command
            .args([
                "--exact",
                "child::obeys",
                "--ignored",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(FILE, path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut process = Process {
            input: child.stdin.take().unwrap(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
        };
        // The test runner says something before.
        while process.line().expect("the child has started") != "ready" {}
        process
    }

    /// The next whole line of its output; `None` at the end.
    pub fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.strip_suffix('\n').map(str::to_owned)
    }

    pub fn tell(&mut self, order: &str) {
        writeln!(self.input, "{order}").unwrap();
    }

    pub fn ask(&mut self, order: &str) -> String {
        self.tell(order);
        self.line().expect("the child has answered")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The id of the family of that name.
pub fn family_of(name: &str) -> FamilyId {
    FamilyId::from_bytes(*Digest::of(name).as_bytes().first_chunk().unwrap())
}

fn named(name: &str) -> NewFamily {
    NewFamily {
        id: family_of(name),
        ..a_family("app", None)
    }
}

/// An operation of the child: what to do, and the name it is about. The crash test checks all of them.
pub const KINDS: [&str; 7] = [
    "issue", "revoke", "redeem", "rotate", "lock", "session", "disable",
];

pub async fn obey(store: &Store, kind: &str, name: &str) -> Result<String, StoreError> {
    let (access, refresh) = (format!("{name}.access"), format!("{name}.refresh"));
    Ok(match kind {
        "issue" => {
            store
                .issue(named(name), tokens(&access, Some(&refresh), 0), operator(0))
                .await?;
            "done".to_owned()
        }
        "revoke" => {
            store
                .issue(named(name), tokens(&access, Some(&refresh), 0), operator(0))
                .await?;
            store.revoke_family(realm(), family_of(name), operator(1)).await?;
            "done".to_owned()
        }
        "unissue" => format!(
            "{:?}",
            store.revoke_family(realm(), family_of(name), operator(1)).await?
        ),
        "redeem" => {
            store.store_code(a_code(name, a_user("someone").id)).await?;
            let mut first = first(&access, &refresh, 0);
            first.family = family_of(name);
            match store.redeem_code(present(name), first, at(0)).await? {
                Redemption::Redeemed(_) => "done".to_owned(),
                other => format!("{other:?}"),
            }
        }
        "rotate" => {
            store
                .issue(named(name), tokens(&access, Some(&refresh), 0), operator(0))
                .await?;
            let tokens = next(&format!("{name}.access2"), &format!("{name}.refresh2"), 1);
            match store.rotate_refresh(refreshing(&refresh), tokens, at(1)).await? {
                Rotation::Rotated(_) => "done".to_owned(),
                other => format!("{other:?}"),
            }
        }
        "lock" => {
            for _ in 0..POLICY.attempts.get() {
                store.begin_attempt(realm(), key(name), POLICY, at(0)).await?;
                store.fail_attempt(realm(), key(name), POLICY, at(0)).await?;
            }
            "done".to_owned()
        }
        "session" => {
            store
                .open_session(a_session(name, a_user("someone").id), operator(0))
                .await?;
            "done".to_owned()
        }
        "disable" => {
            let user = User {
                id: tollgate::identity::UserId::from_bytes(*family_of(name).as_bytes()),
                password: Some(Secret::new(vec![b'x'; 90])),
                ..a_user(name)
            };
            let id = user.id;
            store.create_user(user, operator(0)).await?;
            store
                .change_user_state(realm(), id, UserState::Disabled, operator(1))
                .await?;
            "done".to_owned()
        }
        "access" => match store.access(realm(), opaque(&access), at(2)).await? {
            Access::Live(_) => "live".to_owned(),
            Access::Revoked => "revoked".to_owned(),
            other => format!("{other:?}"),
        },
        other => panic!("what is `{other}`?"),
    })
}

/// All kinds at once, without end, each told of when it is answered.
async fn flood(store: &Store, tag: &str) {
    for number in 0_u64.. {
        let lines = join_all(
            KINDS
                .iter()
                .flat_map(|kind| (0..4).map(move |lane| (*kind, lane)))
                .map(async |(kind, lane)| {
                    let name = format!("{tag}-{kind}-{lane}-{number}");
                    let answer = obey(store, kind, &name).await;
                    // Written in one piece and at once: what the other side has read was answered.
                    let mut out = std::io::stdout().lock();
                    match answer {
                        Ok(answer) => out
                            .write_all(format!("{kind} {name} {answer}\n").as_bytes())
                            .unwrap(),
                        Err(error) => out
                            .write_all(format!("{kind} {name} failed: {error}\n").as_bytes())
                            .unwrap(),
                    }
                    out.flush().unwrap();
                }),
        )
        .await;
        drop(lines);
    }
}

/// The process itself. Ignored: it is no test, and only the tests start it.
#[test]
#[ignore = "the second process of other tests"]
fn obeys() {
    let Ok(path) = std::env::var(FILE) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let plan = StorePlan::Sqlite { path: path.into() };
    let store = runtime.block_on(Store::open(&plan)).unwrap();
    println!("\nready");
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let (kind, name) = line.split_once(' ').unwrap_or((&line, ""));
        if kind == "flood" {
            runtime.block_on(flood(&store, name));
        }
        match runtime.block_on(obey(&store, kind, name)) {
            Ok(answer) => println!("{answer}"),
            Err(StoreError::Unavailable { outage, .. }) => println!("unavailable: {outage}"),
            Err(error) => println!("failed: {error}"),
        }
    }
}
