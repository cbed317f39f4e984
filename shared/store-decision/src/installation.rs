//! The installation's identity and the salt of its order ids.
//!
//! Input: bytes that the caller drew. Output: what the row holds, the caller's bytes only at the very
//! first start. The caller keeps a copy in a file and compares.

use penstock_store::StoreError;
use penstock_types::Uuid;
use penstock_types::cl_ord_id::OrderIdSalt;
use sqlx::PgPool;

use crate::CLUSTER;

/// Row of `installation`.
#[derive(Debug, Clone, PartialEq)]
pub struct Installation {
    /// Its id.
    pub installation_id: Uuid,
    /// Salt of its order ids.
    pub salt: OrderIdSalt,
}

/// The row, inserted with the proposal when there is none.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn read_or_create(
    pool: &PgPool,
    proposal: &Installation,
) -> Result<Installation, StoreError> {
    let sql = |e| StoreError::sql("read the installation", CLUSTER, e);
    sqlx::query!(
        "insert into installation (one, installation_id, order_id_salt) values (true, $1, $2)
         on conflict do nothing",
        proposal.installation_id,
        proposal.salt.0.as_slice()
    )
    .execute(pool)
    .await
    .map_err(sql)?;
    let row = sqlx::query!("select installation_id, order_id_salt from installation")
        .fetch_one(pool)
        .await
        .map_err(sql)?;
    let mut salt = [0_u8; 32];
    if row.order_id_salt.len() != salt.len() {
        return Err(sql(sqlx::Error::Decode("order_id_salt has not 32 bytes".into())));
    }
    salt.copy_from_slice(&row.order_id_salt);
    Ok(Installation { installation_id: row.installation_id, salt: OrderIdSalt(salt) })
}
