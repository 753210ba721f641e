//! What SQLite says, in the words of the store.

use rusqlite::{Error, ErrorCode};

use crate::store::error::{Outage, StoreError};

impl From<Error> for StoreError {
    fn from(error: Error) -> StoreError {
        match &error {
            Error::SqliteFailure(failure, _) | Error::SqlInputError { error: failure, .. } => {
                of_code(failure.code, &error)
            }
            Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::Utf8Error(..)
            | Error::InvalidColumnType(..) => StoreError::corrupt(error.to_string()),
            _ => StoreError::Bug {
                detail: error.to_string(),
            },
        }
    }
}

fn of_code(code: ErrorCode, error: &Error) -> StoreError {
    let detail = error.to_string();
    let outage = match code {
        ErrorCode::DiskFull => Outage::DiskFull,
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => Outage::ReadOnly,
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed => {
            Outage::Locked
        }
        ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::OutOfMemory => Outage::Io,
        ErrorCode::OperationInterrupted => Outage::TimedOut,
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => return StoreError::Corrupt { detail },
        _ => return StoreError::Bug { detail },
    };
    StoreError::Unavailable { outage, detail }
}
