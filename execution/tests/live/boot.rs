//! A broken invariant ends the process with 70, and the third within ten minutes keeps it down with 71.

use super::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn exit_70() {
    let world = World::new().await;
    for life in ["first", "second", "third"] {
        // when an assumption breaks between a fill and its stop, at first of an entry, then of each takeover
        let point = Some("after_authorise_before_send=panic(broken on purpose)");
        let mut breaks = world.execution(life, point);
        if life == "first" {
            breaks.until_marker("EXECUTION_ATTACHED").await;
            world.heat(true);
        }
        // then the process ends at once and says so
        assert_eq!(breaks.ended().await.code(), Some(70), "{life}: {}", breaks.last_words());
        assert!(breaks.errors().contains("broken on purpose"), "{}", breaks.errors());
        world.heat(false);
    }
    // and the fourth start looks at the record and stays down
    let mut refused = world.execution("fourth", None);
    assert_eq!(refused.ended().await.code(), Some(71), "{}", refused.last_words());
    assert!(refused.last_words().contains("RESTART_LOOP"), "{}", refused.last_words());
    assert!(refused.markers("FENCE_ACQUIRED").is_empty(), "nothing was touched");
}
