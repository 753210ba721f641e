//! What the front doors have to do, and what shows that they do it: `docs/requirements.md` is made of the list
//! `tests/requirements.txt`, of the tests that name its numbers, and of what became of these tests when they last ran.
//!
//! A test names a requirement by its number: in its own name (`…_aruba_06`, `…_aruba_11_to_18`), in the lines above it or in a
//! comment inside (`ARUBA-06`, `ARUBA-77 to 82`, `ARUBA-89, 90`). What stands elsewhere in a file names nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const PREFIXES: [&str; 5] = ["PULSE", "OMIVV", "ARUBA", "AVI", "SCT"];

/// What each prefix is about, in the page.
const TITLES: [(&str, &str); 5] = [
    ("PULSE", "A portal"),
    ("OMIVV", "An appliance"),
    ("ARUBA", "A management API in ten regions"),
    ("AVI", "A controller"),
    ("SCT", "Tokens by which nodes join a controller"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A line of the list.
#[derive(Debug)]
struct Requirement {
    prefix: &'static str,
    number: u32,
    owner: String,
    what: String,
    left_out: Option<String>,
}

impl Requirement {
    fn id(&self) -> String {
        id(self.prefix, self.number)
    }

    /// Has the gateway to do it, or its token service?
    fn is_ours(&self) -> bool {
        !self.owner.starts_with('U') && self.owner.contains(['G', 'T'])
    }

    /// Why nothing tests it, where nothing has to.
    fn reason(&self) -> Option<&str> {
        match (&self.left_out, self.owner.as_str()) {
            (Some(reason), _) => Some(reason),
            (None, "B") => Some("a backend's work: it is passed on as it is"),
            (None, "D") => Some("a word about the document"),
            (None, "U" | "U(T)") => Some("a screen, which the gateway does not have"),
            (None, _) => None,
        }
    }
}

fn id(prefix: &str, number: u32) -> String {
    format!("{prefix}-{number:02}")
}

fn requirements() -> Vec<Requirement> {
    let text = std::fs::read_to_string(root().join("tests/requirements.txt")).unwrap();
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let parts: Vec<&str> = line.split(" | ").collect();
            assert!(matches!(parts.len(), 3 | 4), "{line}");
            let (prefix, number) = parts[0].split_once('-').expect("a number");
            Requirement {
                prefix: PREFIXES.iter().find(|own| **own == prefix).expect("a prefix"),
                number: number.parse().expect("a number"),
                owner: parts[1].to_owned(),
                what: parts[2].to_owned(),
                left_out: parts.get(3).map(|reason| (*reason).to_owned()),
            }
        })
        .collect()
}

/// A test, and the requirements that it names.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone)]
struct Test {
    /// Below the repository's root.
    file: String,
    name: String,
}

/// The numbers that a text names, as `PREFIX-number` or, in the names of tests, as `prefix_number`.
fn named(text: &str) -> BTreeSet<(&'static str, u32)> {
    let mut found = BTreeSet::new();
    for prefix in PREFIXES {
        let lower = prefix.to_lowercase();
        for (start, sign) in [(prefix, '-'), (lower.as_str(), '_')] {
            let mark = format!("{start}{sign}");
            for (at, _) in text.match_indices(&mark) {
                let is_word = !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
                let Some((first, mut rest)) = number(&text[at + mark.len()..]).filter(|_| is_word) else {
                    continue;
                };
                found.insert((prefix, first));
                let (to, and): (String, &[&str]) = if sign == '-' {
                    (" to ".to_owned(), &[", ", " and "])
                } else {
                    ("_to_".to_owned(), &["_"])
                };
                let last = rest
                    .strip_prefix(&to)
                    .and_then(|rest| number(rest.strip_prefix(&mark).unwrap_or(rest)));
                if let Some((last, _)) = last {
                    assert!(first < last, "{text}");
                    found.extend((first..=last).map(|number| (prefix, number)));
                    continue;
                }
                // `ARUBA-89, 90`: two digits, since `ARUBA-06, 7 calls a second` is a sentence.
                while let Some((next, after)) = and.iter().find_map(|and| number(rest.strip_prefix(and)?)) {
                    found.insert((prefix, next));
                    rest = after;
                }
            }
        }
    }
    found
}

/// A number of two or three digits at the beginning of a text, and what stands behind it.
fn number(text: &str) -> Option<(u32, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if !(2..=3).contains(&digits) {
        return None;
    }
    let (number, rest) = text.split_at(digits);
    Some((number.parse().ok()?, rest))
}

fn sources(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && path.file_name().is_some_and(|name| name != "requirements.rs")
        {
            out.push(path);
        }
    }
}

/// The tests of a file with what stands above them and inside.
fn tests_of(text: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let attribute = line.trim_start();
        if !(attribute.starts_with("#[test]") || attribute.starts_with("#[tokio::test")) {
            continue;
        }
        let indent = &line[..line.len() - attribute.len()];
        let mut from = at;
        while from > 0 && lines[from - 1].trim_start().starts_with("///") {
            from -= 1;
        }
        let end = format!("{indent}}}");
        let until = (at..lines.len()).find(|at| lines[*at] == end).expect("an end");
        let head = (at..until)
            .find_map(|at| lines[at].split_once("fn "))
            .expect("a name");
        let name = head.1.split('(').next().unwrap().to_owned();
        found.push((name, lines[from..=until].join("\n")));
    }
    found
}

/// The comments of a text, and the names of its functions: numbers in the strings of a test are data.
fn words(text: &str) -> String {
    let mut words = String::new();
    for line in text.lines() {
        let comment = line.find("//").map(|at| &line[at..]);
        let function = line.find("fn ").map(|at| &line[at..]);
        // The message of an assertion names what it is about, too.
        let message = line.find(", \"").map(|at| &line[at..]);
        for part in [comment, function, message].into_iter().flatten() {
            words.push_str(part);
            words.push('\n');
        }
    }
    words
}

fn tests() -> BTreeMap<(&'static str, u32), BTreeSet<Test>> {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    sources(&root().join("tests"), &mut files);
    let mut all: BTreeMap<_, BTreeSet<Test>> = BTreeMap::new();
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let file = path.strip_prefix(root()).unwrap().display().to_string();
        for (name, body) in tests_of(&text) {
            for requirement in named(&words(&body)) {
                all.entry(requirement).or_default().insert(Test {
                    file: file.clone(),
                    name: name.clone(),
                });
            }
        }
    }
    all
}

/// What became of the tests when they last ran: of each name, whether all tests that are called so have passed.
fn results() -> BTreeMap<String, bool> {
    let path = root().join("target/nextest/default/junit.xml");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!(
            "{}: {error}; `make requirements` runs the tests first",
            path.display()
        )
    });
    let mut results = BTreeMap::new();
    for case in text.split("<testcase ").skip(1) {
        let name = case.split("name=\"").nth(1).unwrap().split('"').next().unwrap();
        let name = name.rsplit("::").next().unwrap().to_owned();
        let case = case.split("</testcase>").next().unwrap();
        let has_passed = !["<failure", "<error", "<skipped"]
            .iter()
            .any(|bad| case.contains(bad));
        *results.entry(name).or_insert(true) &= has_passed;
    }
    results
}

const PASSED: &str = "passed";

/// The page. `result` is what became of a test.
fn page(result: &dyn Fn(&Test) -> &'static str) -> String {
    let (requirements, tests) = (requirements(), tests());
    let tested = requirements
        .iter()
        .filter(|one| tests.contains_key(&(one.prefix, one.number)))
        .count();
    let ours = requirements.iter().filter(|one| one.is_ours()).count();
    let mut page = format!(
        "# What four front doors have to do\n\n\
         The behaviour that [four shipped configurations](../config/examples/four-front-doors.yaml) reproduce, line by line, and the tests \
         that show it. {} requirements; {ours} are the gateway's own work (G) or its token service's (T), and each of these has a test; \
         {tested} have one in all. The others are a backend's (B), a screen (U) or a word about the document (D).\n\n\
         This page is made by `make requirements`, which runs the tests; a test compares it with them.\n",
        requirements.len()
    );
    for (prefix, title) in TITLES {
        write!(
            page,
            "\n## {title} ({prefix})\n\n| id | whose | what | shown by | result |\n| --- | --- | --- | --- | --- |\n"
        )
        .unwrap();
        for one in requirements.iter().filter(|one| one.prefix == prefix) {
            let shown = tests.get(&(one.prefix, one.number));
            let (by, became) = match shown {
                Some(tests) => {
                    let links = tests.iter().map(|test| {
                        let path = Path::new(&test.file);
                        let file = path.with_extension("");
                        let file = file.strip_prefix("tests").unwrap_or(&file).display().to_string();
                        format!("[{file}](../{}): `{}`", test.file, test.name)
                    });
                    let became: BTreeSet<&str> = tests.iter().map(result).collect();
                    (
                        links.collect::<Vec<_>>().join("<br>"),
                        became.into_iter().collect::<Vec<_>>().join(", "),
                    )
                }
                None => (
                    one.reason().unwrap_or("nothing").to_owned(),
                    "left out".to_owned(),
                ),
            };
            writeln!(
                page,
                "| {} | {} | {} | {by} | {became} |",
                one.id(),
                one.owner,
                one.what.replace('|', "\\|")
            )
            .unwrap();
        }
    }
    page
}

#[test]
fn each_requirement_that_is_ours_is_named_by_a_test_or_says_why_not() {
    let tests = tests();
    let requirements = requirements();
    let mut wrong = Vec::new();
    for one in &requirements {
        let is_tested = tests.contains_key(&(one.prefix, one.number));
        if one.is_ours() && !is_tested && one.left_out.is_none() {
            wrong.push(format!("{} ({}): {}", one.id(), one.owner, one.what));
        }
        if is_tested && one.left_out.is_some() {
            wrong.push(format!("{} is left out, and tested", one.id()));
        }
    }
    for ((prefix, number), by) in &tests {
        if !requirements
            .iter()
            .any(|one| one.prefix == *prefix && one.number == *number)
        {
            wrong.push(format!("{} is no requirement: {by:?}", id(prefix, *number)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_page_is_what_the_list_and_the_tests_say() {
    let path = root().join("docs/requirements.md");
    #[expect(
        clippy::disallowed_methods,
        reason = "a test is told to write by the environment"
    )]
    if std::env::var("REQUIREMENTS").is_ok_and(|word| word == "write") {
        let results = results();
        let became = |test: &Test| match results.get(&test.name) {
            Some(true) => PASSED,
            Some(false) => "FAILED",
            None => "not run",
        };
        std::fs::write(&path, page(&became)).unwrap();
    }
    // What did not pass is not to be here: this run fails by that test then.
    let expected = page(&|_| PASSED);
    let found = std::fs::read_to_string(&path).unwrap();
    let differs = expected
        .lines()
        .zip(found.lines())
        .find(|(expected, found)| expected != found);
    assert!(
        expected == found,
        "docs/requirements.md is not up to date: `make requirements` writes it. The first difference: {differs:#?}"
    );
}

#[test]
fn numbers_are_found_where_they_are_meant() {
    let of = |text: &str| -> Vec<String> {
        named(text)
            .into_iter()
            .map(|(prefix, number)| id(prefix, number))
            .collect()
    };
    assert_eq!(
        of("/// AVI-06, AVI-21 to AVI-23, SCT-02."),
        ["AVI-06", "AVI-21", "AVI-22", "AVI-23", "SCT-02"]
    );
    assert_eq!(of("// ARUBA-89, 90: words"), ["ARUBA-89", "ARUBA-90"]);
    assert_eq!(of("// ARUBA-77 to 79"), ["ARUBA-77", "ARUBA-78", "ARUBA-79"]);
    assert_eq!(of("// ARUBA-06, 7 calls a second"), ["ARUBA-06"]);
    assert_eq!(
        of("fn it_works_aruba_12_17_18()"),
        ["ARUBA-12", "ARUBA-17", "ARUBA-18"]
    );
    assert_eq!(
        of("fn aruba_11_to_13_are_capped()"),
        ["ARUBA-11", "ARUBA-12", "ARUBA-13"]
    );
    assert!(of("XAVI-06 AVI-6 AVI-").is_empty());
    let text = "/// AVI-01.\n#[test]\nfn one() {\n    // AVI-02\n    let x = \"AVI-03\";\n}\n\n// AVI-04\nfn two() {}\n";
    let tests = tests_of(text);
    assert_eq!(tests.len(), 1);
    assert_eq!(
        (tests[0].0.as_str(), of(&words(&tests[0].1))),
        ("one", vec!["AVI-01".to_owned(), "AVI-02".to_owned()])
    );
}
