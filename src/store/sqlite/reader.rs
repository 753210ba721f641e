//! The threads that read, each with a connection of its own that cannot write. They see what was committed, and hold up no
//! writer.

use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

/// A question with its way to answer. It runs in a transaction of its own: all it reads is of one moment.
pub(super) type Question = Box<dyn FnOnce(&Connection) + Send>;

/// Answers questions until the queue is closed. The queue is shared: who is free takes the next.
pub(super) fn work(connection: &Connection, queue: &Arc<Mutex<Receiver<Question>>>) {
    loop {
        // Waiting under the lock is what makes the other reader wait behind this one; the question is answered without it.
        let question = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match question {
            Ok(question) => question(connection),
            Err(_) => return,
        }
    }
}
