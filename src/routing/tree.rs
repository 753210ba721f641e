//! The paths of one host: a tree by segments.
//!
//! At each segment a literal is tried first, then a capture, then a tail; a branch that leads nowhere is left again. A
//! path meets every node at most once, so the worst case is bounded by the number of routes, not by what clients send.

use hashbrown::HashMap;
use http::Method;

use super::methods::Endpoint;
use crate::http::pattern::{MAX_CAPTURES, Pattern, Segment};

/// Where in the path each capture stands: from and to, in bytes. A path is shorter than 64 KiB (`http::Uri`).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spans {
    spans: [(u16, u16); MAX_CAPTURES],
    len: usize,
}

impl Spans {
    fn push(&mut self, from: usize, to: usize) {
        let narrow = |at: usize| u16::try_from(at).unwrap_or(u16::MAX);
        if let Some(place) = self.spans.get_mut(self.len) {
            *place = (narrow(from), narrow(to));
            self.len += 1;
        }
    }

    fn pop(&mut self) {
        self.len = self.len.saturating_sub(1);
    }

    /// From and to of capture `index`.
    pub(super) fn get(&self, index: usize) -> Option<(usize, usize)> {
        let (from, to) = self.spans.get(..self.len)?.get(index)?;
        Some((usize::from(*from), usize::from(*to)))
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Tree {
    root: Node,
}

#[derive(Debug, Default)]
struct Node {
    literals: Literals,
    capture: Option<Box<Node>>,
    /// Routes whose pattern ends here.
    end: Option<Endpoint>,
    /// Routes whose tail begins here.
    tail: Option<Endpoint>,
}

/// Children by literal. Up to eight are looked through one by one, which is quicker than hashing.
#[derive(Debug)]
enum Literals {
    Few(Vec<(Box<str>, Node)>),
    Many(HashMap<Box<str>, Node, foldhash::fast::RandomState>),
}

const FEW: usize = 8;

impl Default for Literals {
    fn default() -> Literals {
        Literals::Few(Vec::new())
    }
}

impl Literals {
    fn get(&self, segment: &str) -> Option<&Node> {
        match self {
            Literals::Few(few) => few
                .iter()
                .find(|(name, _)| **name == *segment)
                .map(|(_, node)| node),
            Literals::Many(many) => many.get(segment),
        }
    }

    fn get_or_insert(&mut self, segment: &str) -> &mut Node {
        if let Literals::Few(few) = self
            && few.len() >= FEW
            && few.iter().all(|(name, _)| **name != *segment)
        {
            *self = Literals::Many(std::mem::take(few).into_iter().collect());
        }
        match self {
            Literals::Many(many) => many.entry(segment.into()).or_default(),
            Literals::Few(few) => {
                let index = few
                    .iter()
                    .position(|(name, _)| **name == *segment)
                    .unwrap_or(few.len());
                if index == few.len() {
                    few.push((segment.into(), Node::default()));
                }
                #[expect(clippy::indexing_slicing, reason = "index was found or just pushed")]
                &mut few[index].1
            }
        }
    }
}

impl Tree {
    /// Adds a route. `Err` names the route that is in its way.
    pub(super) fn add(&mut self, pattern: &Pattern, methods: &[Method], route: usize) -> Result<(), usize> {
        let mut node = &mut self.root;
        for segment in &pattern.segments {
            node = match segment {
                Segment::Literal(text) => node.literals.get_or_insert(text),
                Segment::Capture(_) => node.capture.get_or_insert_default(),
                Segment::Tail(_) => {
                    return node.tail.get_or_insert_with(Endpoint::new).add(methods, route);
                }
            };
        }
        node.end.get_or_insert_with(Endpoint::new).add(methods, route)
    }

    /// The most specific place for `path`, and where its captures are.
    pub(super) fn find(&self, path: &str) -> Option<(&Endpoint, Spans)> {
        let mut spans = Spans::default();
        let begin = path.starts_with('/').then_some(1);
        let endpoint = self.root.descend(path, begin, &mut spans)?;
        Some((endpoint, spans))
    }
}

impl Node {
    /// `at`: where the next segment begins; `None` when there is none left. As deep as the deepest pattern.
    fn descend(&self, path: &str, at: Option<usize>, spans: &mut Spans) -> Option<&Endpoint> {
        let Some(from) = at else {
            return self.end.as_ref();
        };
        let rest = path.get(from..)?;
        let (segment, next) = match rest.bytes().position(|byte| byte == b'/') {
            Some(length) => (rest.get(..length)?, Some(from + length + 1)),
            None => (rest, None),
        };
        if let Some(child) = self.literals.get(segment)
            && let Some(found) = child.descend(path, next, spans)
        {
            return Some(found);
        }
        if let Some(child) = &self.capture
            && !segment.is_empty()
        {
            spans.push(from, from + segment.len());
            if let Some(found) = child.descend(path, next, spans) {
                return Some(found);
            }
            spans.pop();
        }
        let tail = self.tail.as_ref()?;
        spans.push(from, path.len());
        Some(tail)
    }
}
