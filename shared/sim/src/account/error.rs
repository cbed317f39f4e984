//! What the venue says when it refuses, in its own words.
//!
//! Inputs: none. Outputs: the texts of the `error` field, identical on the socket and on REST.
//! Invariant: no text here is invented but the one for a duplicate client id, whose wording the
//! venue does not document.

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VenueError {
    /// Unknown key.
    #[error("EAPI:Invalid key")]
    InvalidKey,
    /// Wrong signature.
    #[error("EAPI:Invalid signature")]
    InvalidSignature,
    /// Nonce not above the last one.
    #[error("EAPI:Invalid nonce")]
    InvalidNonce,
    /// A key without the right to do this.
    #[error("EGeneral:Permission denied")]
    PermissionDenied,
    /// REST counter above its ceiling.
    #[error("EAPI:Rate limit exceeded")]
    RestRateLimit,
    /// Engine counter above its threshold.
    #[error("EOrder:Rate limit exceeded")]
    OrderRateLimit,
    /// Too many open orders of the pair.
    #[error("EOrder:Orders limit exceeded")]
    OrdersLimit,
    /// The request came after its own deadline.
    #[error("EService:Deadline elapsed")]
    DeadlineElapsed,
    /// The market takes no such request now; the word is the mode.
    #[error("EService:Market in {0} mode")]
    MarketMode(&'static str),
    /// The venue or the pair is down.
    #[error("EService:Unavailable")]
    Unavailable,
    /// The account cannot pay.
    #[error("EOrder:Insufficient funds")]
    InsufficientFunds,
    /// Quantity below the pair's minimum.
    #[error("EOrder:Order minimum not met")]
    OrderMinimum,
    /// Cost below the pair's minimum.
    #[error("EOrder:Cost minimum not met")]
    CostMinimum,
    /// Price not a multiple of the tick.
    #[error("EOrder:Tick size check failed")]
    TickSize,
    /// Price with too many digits or not positive.
    #[error("EOrder:Invalid price")]
    InvalidPrice,
    /// Terms that contradict each other.
    #[error("EOrder:Invalid order")]
    InvalidOrder,
    /// A post-only amend would take.
    #[error("EOrder:Post only order")]
    PostOnly,
    /// A buy while the pair only takes what reduces.
    #[error("EOrder:Reduce only:No position exists")]
    ReduceOnly,
    /// No such open order.
    #[error("EOrder:Unknown order")]
    UnknownOrder,
    /// A text that is no order id.
    #[error("EOrder:Invalid order id")]
    InvalidOrderId,
    /// An open order has this client id already.
    #[error("EOrder:Duplicate cl_ord_id")]
    DuplicateClientId,
    /// A parameter is missing or wrong; the detail names it.
    #[error("EGeneral:Invalid arguments:{0}")]
    Arguments(String),
    /// A float field was sent as an integer; the word is the field with a capital letter.
    #[error("{0} field must be a number_float")]
    NotFloat(String),
    /// Pair that is not listed, on the socket.
    #[error("Currency pair not supported {0}")]
    PairNotSupported(String),
    /// Pair that is not listed, on REST.
    #[error("EQuery:Unknown asset pair")]
    UnknownPair,
    /// Asset that is not listed.
    #[error("EQuery:Unknown asset")]
    UnknownAsset,
    /// Unknown or expired token.
    #[error("ESession:Invalid session")]
    InvalidSession,
    /// Method that does not exist here.
    #[error("EGeneral:Unknown method")]
    UnknownMethod,
    /// A text set by a fault.
    #[error("{0}")]
    Injected(String),
}

impl VenueError {
    /// Shorthand for a wrong parameter.
    pub(crate) fn argument(name: &str) -> VenueError {
        VenueError::Arguments(name.to_owned())
    }
}
