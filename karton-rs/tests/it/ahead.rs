//! What a consumer takes in one turn: tasks ahead of their slots, and what is taken alone, goes back or stays.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};
use std::time::Duration;

use karton_rs::{Task, testing::eventually};

use crate::bed::Bed;
use crate::consumer::{any, becomes, no_claims, routed, status};

/// Puts tasks into a queue of karton.x.
async fn queue(bed: &Bed, priority: &str, uids: impl Iterator<Item = String>) {
    for uid in uids {
        bed.command::<()>(&["SET", &format!("karton.task:{uid}"), &routed(&uid, "Spawned")]).await;
        bed.command::<()>(&["RPUSH", &format!("karton.queue.{priority}:karton.x"), &uid]).await;
    }
}

#[tokio::test]
async fn a_quick_service_takes_tasks_ahead_and_gives_back_what_a_slow_one_keeps_waiting() {
    const TASKS: usize = 300;
    const SLOW: usize = 200;
    let bed = Bed::start().await;
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let (numbers, ahead, busy) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (pass, order, most, running) = (Arc::clone(&gate), Arc::clone(&numbers), Arc::clone(&ahead), Arc::clone(&busy));
    let redis = bed.redis.connection().await;
    let work = move |_, task: Task| {
        let (pass, order, most, running) = (Arc::clone(&pass), Arc::clone(&order), Arc::clone(&most), Arc::clone(&running));
        let mut redis = redis.clone();
        async move {
            anyhow::ensure!(running.fetch_add(1, Ordering::SeqCst) == 0, "two at once");
            let number: usize = task.uid().parse()?;
            order.lock().unwrap().push(number);
            if number < SLOW {
                let claims: usize = redis::cmd("ZCARD").arg("karton.rs.leases").query_async(&mut redis).await?;
                most.fetch_max(claims, Ordering::SeqCst);
            } else if number == SLOW {
                pass.acquire().await?.forget();
            }
            running.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        }
    };
    queue(&bed, "normal", (0..TASKS).map(|number| number.to_string())).await;
    let _consumer = bed.consumer(any("karton.x").process(work)).await;
    let rest: Vec<String> = (SLOW + 1..TASKS).map(|number| number.to_string()).collect();
    eventually("what waits behind the slow one to be back, in its order", || async {
        let queued: Vec<String> = bed.command(&["LRANGE", "karton.queue.normal:karton.x", "0", "-1"]).await;
        (queued == rest).then_some(())
    })
    .await;
    eventually("only the slow one to be claimed", || async {
        let claims: Vec<String> = bed.command(&["ZRANGE", "karton.rs.leases", "0", "-1"]).await;
        (claims == [SLOW.to_string()]).then_some(())
    })
    .await;
    assert_eq!(status(&bed, &format!("karton.task:{}", SLOW + 1)).await.as_deref(), Some("Spawned"));
    assert!(ahead.load(Ordering::SeqCst) > 1, "none was taken ahead");
    gate.add_permits(1);
    becomes(&bed, &format!("karton.task:{}", TASKS - 1), "Finished").await;
    no_claims(&bed).await;
    assert_eq!(*numbers.lock().unwrap(), (0..TASKS).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_may_kill_its_consumers_is_taken_alone() {
    let bed = Bed::start().await;
    queue(&bed, "normal", (0..60).map(|number| number.to_string())).await;
    bed.command::<()>(&["HSET", "karton.rs.deliveries", "30", "1"]).await;
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let wait = Arc::new(Mutex::new(wait));
    let consumer = any("karton.x").process(move |_, task| {
        let (wait, tell) = (Arc::clone(&wait), tell.clone());
        async move {
            if task.uid() == "30" {
                tell.send(())?;
                // Blocks the only thread, so that nothing can be given back.
                wait.lock().unwrap().recv()?;
            }
            Ok(())
        }
    });
    let _consumer = bed.mortal(consumer, bed.config.clone()).await;
    tokio::time::timeout(Duration::from_secs(20), told.recv()).await.unwrap().unwrap();
    let claims: Vec<String> = bed.command(&["ZRANGE", "karton.rs.leases", "0", "-1"]).await;
    assert_eq!(claims, ["30"]);
    go_on.send(()).unwrap();
    becomes(&bed, "karton.task:59", "Finished").await;
    no_claims(&bed).await;
}

#[tokio::test]
async fn a_task_that_goes_back_takes_along_how_often_it_was_handed_out_in_vain() {
    let bed = Bed::start().await;
    queue(&bed, "normal", std::iter::once("t".to_owned())).await;
    bed.command::<()>(&["HSET", "karton.rs.deliveries", "t", "1"]).await;
    let consumer = any("karton.x").process(|karton, _| async move {
        karton.stopping().cancelled().await;
        Err(karton_rs::HandBack("not now".to_owned()).into())
    });
    let consumer = bed.consumer(consumer).await;
    becomes(&bed, "karton.task:t", "Started").await;
    consumer.stop().await.unwrap();
    assert_eq!(status(&bed, "karton.task:t").await.as_deref(), Some("Spawned"));
    assert_eq!(bed.command::<Vec<String>>(&["LRANGE", "karton.queue.normal:karton.x", "0", "-1"]).await, ["t"]);
    assert_eq!(bed.command::<String>(&["HGET", "karton.rs.deliveries", "t"]).await, "1");
}

#[tokio::test]
async fn a_queue_that_is_none_costs_no_task_of_the_others() {
    let bed = Bed::start().await;
    let uids = ["a", "b", "c"];
    queue(&bed, "high", uids.into_iter().map(str::to_owned)).await;
    bed.command::<()>(&["SET", "karton.queue.low:karton.x", "no list"]).await;
    let consumer = any("karton.x").process(|_, _| async { Ok(()) });
    let _consumer = bed.consumer_with(consumer, bed.with_options(&[("karton", "concurrency_limit", "8")])).await;
    eventually("a look at the queue that is none", || async {
        let stats: String = bed.command(&["INFO", "errorstats"]).await;
        stats.contains("WRONGTYPE").then_some(())
    })
    .await;
    assert_eq!(bed.command::<Vec<String>>(&["LRANGE", "karton.queue.high:karton.x", "0", "-1"]).await, uids);
    bed.command::<()>(&["DEL", "karton.queue.low:karton.x"]).await;
    for uid in uids {
        becomes(&bed, &format!("karton.task:{uid}"), "Finished").await;
    }
}

#[tokio::test]
async fn what_has_its_last_try_has_it_alone() {
    const LAST: [&str; 2] = ["3", "4"];
    let bed = Bed::start().await;
    queue(&bed, "normal", (0..9).map(|number| number.to_string())).await;
    for uid in LAST {
        bed.command::<()>(&["HSET", "karton.rs.deliveries", uid, "2"]).await;
    }
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let running = Arc::new(Mutex::new((Vec::<String>::new(), Vec::new())));
    let (pass, hands) = (Arc::clone(&gate), Arc::clone(&running));
    let consumer = any("karton.x").process(move |_, task: Task| {
        let (pass, hands) = (Arc::clone(&pass), Arc::clone(&hands));
        async move {
            {
                let (now, together) = &mut *hands.lock().unwrap();
                now.push(task.uid().to_owned());
                together.push(now.clone());
            }
            pass.acquire().await?.forget();
            hands.lock().unwrap().0.retain(|uid| uid != task.uid());
            Ok(())
        }
    });
    let _consumer = bed.consumer_with(consumer, bed.with_options(&[("karton", "concurrency_limit", "3")])).await;
    for (count, what) in
        [(3, "the first ones"), (4, "the last try of one"), (5, "that of the other"), (8, "three others"), (9, "the last one")]
    {
        eventually(what, || async { (running.lock().unwrap().1.len() == count).then_some(()) }).await;
        let hands = running.lock().unwrap().0.len();
        gate.add_permits(hands);
    }
    no_claims(&bed).await;
    let together = running.lock().unwrap().1.clone();
    for uid in LAST {
        assert!(together.iter().all(|uids| uids == &[uid] || !uids.contains(&uid.to_owned())), "{together:?}");
    }
}
