//! What can go wrong: a closed list.
//!
//! Input: none. Output: names. Each kind is counted where it takes effect.

penstock_types::closed_vocabulary! {
    /// Kind of a fault.
    pub Kind {
        /// A request never reaches the venue.
        LostRequest = "lost_request",
        /// A request arrives late, others overtake it.
        LateRequest = "late_request",
        /// An answer never comes.
        LostAnswer = "lost_answer",
        /// An answer comes late, possibly after its time was over.
        LateAnswer = "late_answer",
        /// An answer says nothing that anybody knows.
        StrangeAnswer = "strange_answer",
        /// An answer comes twice, the second time late.
        DoubleAnswer = "double_answer",
        /// A report never comes, no gap shows it.
        LostReport = "lost_report",
        /// A report comes late, others overtake it.
        LateReport = "late_report",
        /// A report comes twice.
        DoubleReport = "double_report",
        /// Balances overtake everything else for a while.
        EarlyBalance = "early_balance",
        /// A balance never comes.
        LostBalance = "lost_balance",
        /// The socket is lost.
        SocketLost = "socket_lost",
        /// The stream stands still, requests go out.
        StreamStalled = "stream_stalled",
        /// REST shows the past.
        RestLags = "rest_lags",
        /// The history of trades lags behind the orders.
        TradesLag = "trades_lag",
        /// A look comes back cut off.
        RestFails = "rest_fails",
        /// The process is killed.
        Killed = "killed",
        /// The process stands still while another takes over.
        Paused = "paused",
        /// The process alone loses its rows while another takes over.
        CutOff = "cut_off",
        /// The decision cluster is away.
        ClusterAway = "cluster_away",
        /// The cluster commits and the answer is lost.
        CommitUnknown = "commit_unknown",
        /// The venue takes cancels alone.
        CancelOnly = "cancel_only",
        /// The venue takes post-only orders alone.
        PostOnly = "post_only",
        /// Nothing at all is taken.
        Maintenance = "maintenance",
        /// Somebody cancels an order of ours by hand.
        ManualCancel = "manual_cancel",
        /// Base arrives or leaves without a trade.
        Transfer = "transfer",
        /// The book is almost empty.
        ThinBook = "thin_book",
        /// A stop that fired executes over time.
        SlowStop = "slow_stop",
        /// No quote.
        QuoteWithdrawn = "quote_withdrawn",
    }
}
