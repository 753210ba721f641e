//! What is known so far of a request under way: its record, whose look a refusal has, and its id.

use http::HeaderValue;

use crate::auth::{Caller, Own};
use crate::base::clock::Tick;
use crate::base::random::Ids;
use crate::http::body::Fate;
use crate::http::request_id::RequestId;
use crate::http::trace_context::TraceParent;
use crate::limits::Admission;
use crate::rejection::Rejection;
use crate::telemetry::record::Record;

/// Travels along the pipeline and ends in the reply.
pub struct Trail {
    /// Metrics and access log.
    pub record: Record,
    /// Index of the api whose dialect renders a refusal, once it is known.
    pub api: Option<usize>,
    id: [u8; 32],
    /// What a trusted proxy called the request.
    called: Option<RequestId>,
    trace: Option<String>,
    /// What became of the client's body, and how much of it was read.
    pub fate: Option<Fate>,
}

impl Trail {
    /// Begins a request.
    pub fn begin(record: Record, ids: &Ids) -> Trail {
        let mut id = [b'0'; 32];
        for (pair, byte) in id.chunks_exact_mut(2).zip(ids.draw16()) {
            if let [high, low] = pair {
                (*high, *low) = (hex(byte >> 4), hex(byte & 15));
            }
        }
        Trail {
            record,
            api: None,
            id,
            called: None,
            trace: None,
            fate: None,
        }
    }

    /// The request's id: 32 lower-case hexadecimal digits, or what a trusted proxy called it.
    pub fn id(&self) -> &str {
        match &self.called {
            Some(called) => called.as_str(),
            None => std::str::from_utf8(&self.id).unwrap_or_default(),
        }
    }

    /// Takes over the name that a trusted proxy gave the request, if it is one.
    pub fn call(&mut self, named: Option<&HeaderValue>) {
        self.called = named.and_then(RequestId::accept);
    }

    /// [`Trail::id`] as a field value.
    pub fn id_value(&self) -> HeaderValue {
        if let Some(called) = &self.called {
            return called.value().clone();
        }
        // Hexadecimal digits are always a field value.
        HeaderValue::from_bytes(&self.id).unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    /// When the request's head was read.
    pub fn start(&self) -> Tick {
        self.record.start()
    }

    /// Notes who calls, also where the call is refused afterwards.
    pub fn identified(&mut self, caller: &Caller) {
        let Some(known) = caller.known().filter(|_| self.record.is_logged()) else {
            return;
        };
        self.record.caller(&known.identity);
        if let Some(account) = known.own().and_then(Own::account) {
            self.record.user(account.name.as_str());
        }
    }

    /// Notes who pays, and for whom the call is.
    pub fn admitted(&mut self, admission: &Admission) {
        let permit = admission.permit();
        self.record.acting(permit.payer(), permit.tenant());
    }

    /// Notes the trace.
    pub fn traced(&mut self, trace: &TraceParent) {
        if self.record.is_logged() {
            self.trace = Some(trace.trace_text());
        }
    }

    /// Notes the ids in the record; the last thing before it is closed.
    pub fn name(&mut self) {
        if self.record.is_logged() {
            let id = match &self.called {
                Some(called) => called.as_str(),
                None => std::str::from_utf8(&self.id).unwrap_or_default(),
            };
            self.record.ids(id, self.trace.as_deref());
        }
    }

    /// Notes a refusal.
    pub fn refused(&mut self, rejection: &Rejection) {
        self.record.refused(rejection);
    }
}

fn hex(nibble: u8) -> u8 {
    if nibble < 10 {
        b'0' + nibble
    } else {
        b'a' + (nibble - 10)
    }
}
