//! The installation's salt: in the decision cluster and, beside it, in a file of ours.
//!
//! Purpose: order ids stay recognisable even when the database is lost. Inputs: the state directory, the
//! cluster. Outputs: the salt. Invariants: made once, at the first start; file and row must agree, else the
//! start is refused: with another salt our own orders would look foreign.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use penstock_store_decision::installation::{Installation, read_or_create};
use penstock_types::Uuid;
use penstock_types::cl_ord_id::OrderIdSalt;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use crate::exit::StartError;

/// Name of the file in the state directory.
const FILE: &str = "installation.json";

#[derive(Serialize, Deserialize)]
struct Kept {
    installation_id: Uuid,
    order_id_salt: String,
}

/// Reads the salt, makes it at the first start.
///
/// # Errors
/// [`StartError::Refused`] when file and row differ or the file cannot be used.
pub async fn order_id_salt(pool: &PgPool, state_dir: &Path) -> Result<OrderIdSalt, StartError> {
    let path = state_dir.join(FILE);
    let refused = |problem: String| {
        let path = path.display();
        StartError::Refused(format!(
            "{path}: {problem}; next: restore the file from a backup of this installation"
        ))
    };
    let kept = read(&path).map_err(|e| refused(e.to_string()))?;
    let proposal = match &kept {
        Some(kept) => kept.clone(),
        None => {
            let mut salt = [0_u8; 32];
            getrandom::fill(&mut salt).map_err(|e| refused(format!("no random bytes: {e}")))?;
            Installation { installation_id: Uuid::now_v7(), salt: OrderIdSalt(salt) }
        }
    };
    let row = read_or_create(pool, &proposal).await?;
    match kept {
        Some(kept) if kept == row => {}
        Some(_) => return Err(refused("its salt is not that of the decision cluster".to_owned())),
        None => write(&path, &row).map_err(|e| refused(e.to_string()))?,
    }
    Ok(row.salt)
}

fn read(path: &Path) -> std::io::Result<Option<Installation>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let bad = |what: &str| std::io::Error::other(what.to_owned());
    let kept: Kept = serde_json::from_str(&text).map_err(|e| bad(&e.to_string()))?;
    let bytes = hex::decode(&kept.order_id_salt).map_err(|e| bad(&e.to_string()))?;
    let salt: [u8; 32] = bytes.try_into().map_err(|_| bad("order_id_salt has not 32 bytes"))?;
    Ok(Some(Installation { installation_id: kept.installation_id, salt: OrderIdSalt(salt) }))
}

fn write(path: &Path, row: &Installation) -> std::io::Result<()> {
    let kept =
        Kept { installation_id: row.installation_id, order_id_salt: hex::encode(row.salt.0) };
    let temporary = path.with_extension("tmp");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(serde_json::to_string(&kept)?.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_written_is_read_back_and_is_for_the_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        assert_eq!(read(&path).unwrap(), None);
        let row = Installation { installation_id: Uuid::from_u128(7), salt: OrderIdSalt([9; 32]) };
        write(&path, &row).unwrap();
        assert_eq!(read(&path).unwrap(), Some(row));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, "{}").unwrap();
        assert!(read(&path).is_err());
    }
}
