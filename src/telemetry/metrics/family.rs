//! A family: one metric with all combinations of its label values that occurred.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use prometheus::core::{Collector, Desc};
use prometheus::{Registry, proto};

use super::cells::{Cell, Kind};

/// A row of the table of all metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Description {
    /// `tollgate_<noun>_<unit>[_total]`, or the name that semantic conventions give.
    pub name: &'static str,
    /// What it says, one sentence.
    pub help: &'static str,
    /// In what it counts, in plural; `-` for a time stamp or yes and no.
    pub unit: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// Label names. Their values come from the configuration or from an enum, never from a request.
    pub labels: &'static [&'static str],
}

/// The cells of one metric by label values. Cheap to clone; a clone is the same family.
pub(super) struct Family<T>(Arc<Inner<T>>);

struct Inner<T> {
    desc: Desc,
    row: Description,
    cells: RwLock<BTreeMap<LabelValues, Arc<T>>>,
}

/// In the order of the row's label names.
type LabelValues = Box<[Box<str>]>;

impl<T: Cell> Family<T> {
    /// Makes the family of `row` and registers it.
    pub(super) fn register(registry: &Registry, row: Description) -> Family<T> {
        let labels = row.labels.iter().map(|label| (*label).to_owned()).collect();
        #[expect(
            clippy::expect_used,
            reason = "rows are constants, and a test registers them all"
        )]
        let desc = Desc::new(row.name.to_owned(), row.help.to_owned(), labels, HashMap::new())
            .expect("names and labels of the table are valid");
        let family = Family(Arc::new(Inner {
            desc,
            row,
            cells: RwLock::default(),
        }));
        #[expect(
            clippy::expect_used,
            reason = "rows are constants, and a test registers them all"
        )]
        registry
            .register(Box::new(Family(Arc::clone(&family.0))))
            .expect("no two rows have one name");
        family
    }

    /// The cell for these label values, in the order of the row. Takes a lock and may allocate: for load time, not for
    /// the way of a request.
    pub(super) fn cell(&self, values: &[&str]) -> Arc<T> {
        debug_assert_eq!(values.len(), self.0.row.labels.len(), "{}", self.0.row.name);
        let key: LabelValues = values.iter().map(|value| Box::from(*value)).collect();
        let mut cells = self.0.cells.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(cells.entry(key).or_default())
    }

    /// Forgets every cell, for a metric whose label values changed with the configuration.
    pub(super) fn clear(&self) {
        self.0
            .cells
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

impl<T: Cell> Collector for Family<T> {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.0.desc]
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        let cells = self.0.cells.read().unwrap_or_else(PoisonError::into_inner);
        let samples = cells
            .iter()
            .map(|(values, cell)| {
                let pairs = self.0.row.labels.iter().zip(values).map(|(name, value)| {
                    let mut pair = proto::LabelPair::default();
                    pair.set_name((*name).to_owned());
                    pair.set_value(value.to_string());
                    pair
                });
                let mut metric = proto::Metric::from_label(pairs.collect());
                cell.sample(&mut metric);
                metric
            })
            .collect();
        let mut family = proto::MetricFamily::default();
        family.set_name(self.0.row.name.to_owned());
        family.set_help(self.0.row.help.to_owned());
        family.set_field_type(match self.0.row.kind {
            Kind::Counter => proto::MetricType::COUNTER,
            Kind::Gauge => proto::MetricType::GAUGE,
            Kind::Histogram => proto::MetricType::HISTOGRAM,
        });
        family.set_metric(samples);
        vec![family]
    }
}
