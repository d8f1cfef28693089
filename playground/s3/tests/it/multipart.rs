use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};

use crate::harness::{Bed, failure};

const PART: usize = 5 * 1024 * 1024;

async fn part(bed: &Bed, key: &str, id: &str, number: i32, content: Vec<u8>) -> CompletedPart {
    let sent = bed.s3.upload_part().bucket("box").key(key).upload_id(id).part_number(number);
    let sent = sent.body(ByteStream::from(content)).send().await.unwrap();
    CompletedPart::builder().part_number(number).e_tag(sent.e_tag().unwrap()).build()
}

fn parts(list: &[CompletedPart]) -> CompletedMultipartUpload {
    CompletedMultipartUpload::builder().set_parts(Some(list.to_vec())).build()
}

#[tokio::test]
async fn parts_become_one_object_and_are_gone_afterwards() {
    let bed = Bed::start().await;
    let start = bed.s3.create_multipart_upload().bucket("box").key("big").content_type("text/x").send().await.unwrap();
    let id = start.upload_id().unwrap();
    // Numbers may leave gaps, and a part may be sent again.
    part(&bed, "big", id, 2, vec![9; PART]).await;
    let list = [part(&bed, "big", id, 2, vec![1; PART]).await, part(&bed, "big", id, 7, vec![2; 10]).await];
    let shown = bed.s3.list_parts().bucket("box").key("big").upload_id(id).send().await.unwrap();
    assert_eq!(
        shown.parts().iter().map(|part| (part.part_number().unwrap(), part.size().unwrap())).collect::<Vec<_>>(),
        [(2, 5_242_880), (7, 10)]
    );
    assert_eq!(bed.s3.list_multipart_uploads().bucket("box").send().await.unwrap().uploads().len(), 1);
    let complete = bed.s3.complete_multipart_upload().bucket("box").key("big").upload_id(id);
    let done = complete.clone().multipart_upload(parts(&list)).send().await.unwrap();
    assert!(done.e_tag().unwrap().ends_with("-2\""));
    let got = bed.s3.get_object().bucket("box").key("big").send().await.unwrap();
    assert_eq!((got.e_tag(), got.content_type()), (done.e_tag(), Some("text/x")));
    let content = got.body.collect().await.unwrap().to_vec();
    assert!(content.len() == PART + 10 && content[..PART].iter().all(|&byte| byte == 1) && content[PART..] == [2; 10]);
    assert_eq!(failure(complete.multipart_upload(parts(&list)).send().await), (404, "NoSuchUpload".to_owned()));
    assert_eq!(std::fs::read_dir(bed.folder.path().join(".uploads")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_completion_that_does_not_fit_the_parts_is_refused_and_can_be_repeated() {
    let bed = Bed::start().await;
    let id = bed.s3.create_multipart_upload().bucket("box").key("k").send().await.unwrap();
    let id = id.upload_id().unwrap();
    let (first, second) = (part(&bed, "k", id, 1, vec![1; 10]).await, part(&bed, "k", id, 2, vec![2; 10]).await);
    let other = CompletedPart::builder().part_number(1).e_tag("\"00000000000000000000000000000000\"").build();
    let missing = CompletedPart::builder().part_number(5).build();
    for (list, code) in [
        (vec![second.clone(), first.clone()], "InvalidPartOrder"),
        (vec![other], "InvalidPart"),
        (vec![missing], "InvalidPart"),
        (vec![first.clone(), second], "EntityTooSmall"),
    ] {
        let answer = bed.s3.complete_multipart_upload().bucket("box").key("k").upload_id(id);
        assert_eq!(failure(answer.multipart_upload(parts(&list)).send().await), (400, code.to_owned()));
    }
    let answer = bed.s3.complete_multipart_upload().bucket("box").key("k").upload_id(id);
    answer.multipart_upload(parts(&[first])).send().await.unwrap();
    assert_eq!(bed.get("k").await, [1; 10]);
}

#[tokio::test]
async fn an_upload_belongs_to_its_key_and_can_be_given_up() {
    let bed = Bed::start().await;
    let id = bed.s3.create_multipart_upload().bucket("box").key("k").send().await.unwrap();
    let id = id.upload_id().unwrap();
    let foreign = bed.s3.upload_part().bucket("box").key("other").upload_id(id).part_number(1).body(ByteStream::from_static(b"x"));
    assert_eq!(failure(foreign.send().await).0, 404);
    let strange = bed.s3.upload_part().bucket("box").key("k").upload_id("../x").part_number(1).body(ByteStream::from_static(b"x"));
    assert_eq!(failure(strange.send().await).0, 404);
    bed.s3.abort_multipart_upload().bucket("box").key("k").upload_id(id).send().await.unwrap();
    assert_eq!(failure(bed.s3.list_parts().bucket("box").key("k").upload_id(id).send().await).0, 404);
}

#[tokio::test]
async fn a_part_can_be_copied_from_an_object() {
    let bed = Bed::start().await;
    bed.put("source", b"0123456789").await;
    let id = bed.s3.create_multipart_upload().bucket("box").key("k").send().await.unwrap();
    let id = id.upload_id().unwrap();
    let copy = bed.s3.upload_part_copy().bucket("box").key("k").upload_id(id).part_number(1);
    let copy = copy.copy_source("box/source").copy_source_range("bytes=2-5").send().await.unwrap();
    let etag = copy.copy_part_result().unwrap().e_tag().unwrap();
    let list = [CompletedPart::builder().part_number(1).e_tag(etag).build()];
    let complete = bed.s3.complete_multipart_upload().bucket("box").key("k").upload_id(id);
    complete.multipart_upload(parts(&list)).send().await.unwrap();
    assert_eq!(bed.get("k").await, b"2345");
}
