"""Queries: all examples of the documentation, and variants of each."""

import itertools
import json
import random
from urllib.parse import quote

from ..world import sha
from . import scenario

BIG = {
    "v9": 9,
    "v10": 10,
    "neg": -5,
    "f": 0.5,
    "s": "10",
    "lst": [{"a": [1, [2, [3]]]}],
    "str": 'a*b?c\\d"e',
    "nl": "l1\nl2",
    "tab": "a\tb",
    "pl": "ąć",
    "obj": {"k": "v", "arr": ["x", "y z"]},
    "e": "",
    "path": "C:\\new\\x41",
    "Up": "UP",
    "nullv": None,
    "dot.key": 1,
    "sp key": "v",
    "big": 123456789012345678901234567890,
    "exp": 1e5,
    "true": "true",
    "t": True,
    "ff": False,
    "url": "http://e.com/?a=1&b=%20",
    "z": 0,
    "negf": -0.5,
    "nul": "a\u0000b",
    "emo": "x😀y",
    "deep": {"a": {"b": {"c": [{"d": 1}, {"d": [2, 3]}]}}},
    "el": [],
    "eo": {},
    "mixed": [1, "1", True, None, [], {}, 1.5],
    "quote": 'say "hi"',
    "slash": "a/b",
    "bs": "\\",
    "pct": "50%_x",
    "n1": "1",
    "dates": "2024-05-01",
    "list": ["a", "b", "c"],
    "array*with*stars\\*": "V",
    "key\\with\\slashes": "V",
    "key.with spaces": "V",
    'key"with:quote': "V",
    'key"with\\"quotes': "V",
    "array*array": [1, [2, 3]],
    "ąkey": "V",
    "nl\nkey": "V",
    "lead": " x ",
    "paren": "(x)",
    "mark": "M",
}

CFG = r"""
cfg.v9:>8; cfg.v10:>9; cfg.v9:9.0; cfg.v9:*9*; cfg.v9:9*; cfg.v9:{9 TO 11}; cfg.v9:[* TO 9}; cfg.f:0.5; cfg.f:"0.5"; cfg.neg:<0; cfg.f:00.5; cfg.neg:\-5; cfg.neg:"-5"; cfg.s:10; cfg.s:[1 TO 20]; cfg.s:["1" TO "2"];
cfg.lst.a:1; cfg.lst.a:2; cfg.lst.a*:2; cfg.lst.a*:3; cfg.lst.a**:3; cfg.lst*.a:1; cfg.lst.a:3; cfg.str:"a\*b\?c\\d\"e"; cfg.str:a\*b\?c*; cfg.str:"a*e"; cfg.str:*\"e*; cfg.nl:"l1\nl2"; cfg.nl:*\n*; cfg.nl:l1*; cfg.tab:"a\tb";
cfg.pl:ąć; cfg.pl:ą*; cfg.pl:*ć*; cfg.pl:"\u0105\u0107"; cfg.pl:"\u0105*"; cfg.obj:*v*; cfg.obj.k:v; cfg.obj:"*\"k\": \"v\"*"; cfg.obj:"*k\": \"v*"; cfg.obj.arr:"y z"; cfg.obj.arr:"*y z*"; cfg.obj.arr*:"y*"; cfg.obj.arr:"y*"; cfg.e:""; cfg.e:*; cfg.e:?; cfg.e:"?*";
cfg.path:"C:\\new\\x41"; cfg.path:C\:\\new*; cfg.Up:U*; cfg.Up:up; cfg.up:UP; cfg.nullv:null; cfg.nullv:"null"; cfg.nullv:*; cfg.nullv:n*; cfg.nullv:*ull; cfg.nullv:*ul*; cfg.dot\.key:1; cfg.sp\ key:v; cfg.dot.key:1; cfg.big:123456789012345678901234567890; cfg.big:123*; cfg.big:>1; cfg.big:<1; cfg.big:123456789012345678901234567891; cfg.exp:100000; cfg.exp:100*; cfg.exp:1e5; cfg.exp:100000.0; cfg.exp:1*; cfg.exp:*.0; cfg.exp:*e*;
cfg.true:true; cfg.t:true; cfg.t:True; cfg.t:t*; cfg.t:*true*; cfg.ff:false; cfg.ff:*; cfg.ff:f*; cfg.true:"true"; cfg.t:"true"; cfg.url:"http://e.com/?a=1&b=%20"; cfg.url:"http://e.com/\?a=1&b=%20"; cfg.url:http\:\/\/e.com*; cfg.url:*%20; cfg.url:*_20; cfg.url:http*; cfg.url:*\/\/*;
cfg:"*\"v9\": 9*"; cfg:*v9*; cfg:M; cfg*:M; cfg.*:M; cfg.mark:[M TO M]; cfg.mark:M?*; cfg.mark:M*; cfg.mark:?; cfg.mark:[L TO N]; cfg.mark:{M TO N}; cfg.mark:>L; cfg.mark:>=M; cfg.mark:<m; cfg.v9:[9 TO 9]; cfg.v9:[8 TO 9]; cfg.v9:{8 TO 9}; cfg.v9:{8 TO 9]; cfg.v9:>9; cfg.v9:>=9; cfg.v9:<=9; cfg.v9:<9; cfg.v9:[9 TO 8]; cfg.v9:[1 TO *]; cfg.v9:[* TO *]; cfg.nokey:[* TO *]; cfg.nokey:*; cfg.nokey:**; cfg.v9:[0 TO 9.5]; cfg.v9:[0.5 TO 9.0];
cfg.z:0; cfg.z:-0; cfg.z:"0"; cfg.z:0.0; cfg.z:[0 TO 1]; cfg.negf:*5; cfg.negf:"-0.5"; cfg.nul:"a\x00b"; cfg.nul:*\x00*; cfg.nul:a*b; cfg.emo:x😀y; cfg.emo:"x\U0001f600y"; cfg.emo:x*y; cfg.emo:*😀*; cfg.deep.a.b.c.d:1; cfg.deep.a.b.c.d:2; cfg.deep.a.b.c.d:3; cfg.deep.a.b.c*.d:1; cfg.deep.a.b.c*.d*:2; cfg.deep*.a:1; cfg.deep.a:*1*; cfg.deep.a.b:*"d"*; cfg.deep.a.b:"*\"d\"*"; cfg.el:""; cfg.el:*; cfg.el:"[]"; cfg.el:*[*; cfg.el:"*[*"; cfg.eo:"{}"; cfg.eo:"*{*"; cfg.eo:*;
cfg.mixed:1; cfg.mixed*:1; cfg.mixed:true; cfg.mixed:null; cfg.mixed*:null; cfg.mixed:1.5; cfg.mixed*:*; cfg.mixed:"*1, \"1\"*"; cfg.mixed:"*true, null*"; cfg.mixed:[1 TO 2]; cfg.mixed*:[1 TO 2]; cfg.mixed:2; cfg.quote:"say \"hi\""; cfg.quote:"say \"*"; cfg.quote:*hi*; cfg.quote:"*\"hi\"*"; cfg.slash:a/b; cfg.slash:"a/b"; cfg.slash:a\/b; cfg.bs:"\\"; cfg.bs:\\; cfg.bs:"\\\\"; cfg.bs:"\\*"; cfg.pct:50%_x; cfg.pct:"50%*"; cfg.pct:50__x; cfg.pct:50*_x; cfg.pct:5?%*; cfg.n1:1; cfg.n1:"1"; cfg.n1:[0 TO 2]; cfg.n1:["0" TO "2"];
cfg.dates:>="2024-05"; cfg.dates:["2024-04-30" TO "2024-05-02"]; cfg.dates:2024-05-01; cfg.dates:2024*; cfg.list:a; cfg.list:b; cfg.list*:a; cfg.list*:?; cfg.list:?; cfg.list:*b*; cfg.list:"*\"a\", \"b\"*"; cfg.list:*a*c*; cfg.list:[a TO b]; cfg.list*:[a TO b]; cfg.list.a:1; cfg.list*.a:1; cfg.list**:a;
cfg.array\*with\*stars\\\**:V; cfg.array\*with\*stars\\\*:V; cfg.key\\with\\slashes:V; cfg.key\.with\ spaces:V; cfg.key\"with\:quote:V; cfg.key"with\\"quotes:V; cfg.key\"with\\\"quotes:V; cfg.array\*array*:1; cfg.array\*array*:2; cfg.array\*array**:2; cfg.array\*array:1; cfg.array\*array:2; cfg.ąkey:V; cfg."ąkey":V; cfg.nl\nkey:V; cfg.lead:" x "; cfg.lead:x; cfg.lead:" *"; cfg.lead:*x*; cfg.paren:"(x)"; cfg.paren:\(x\); cfg.paren:"(*";
cfg; cfg.; cfg:; cfg.a..b:1; cfg..a:1; cfg.v9.:9; cfg.v9:(9); cfg.v9:9 OR; cfg.v9:+9; cfg.v9:-9; cfg.v9:9~; cfg.v9:9^2; cfg.v9:/9/; cfg.v9:[9 TO]; cfg.v9:[TO 9]; cfg.v9:[9]; cfg.v9:9 9; cfg.v9:NOT 9; cfg.v9:9*9; cfg.v9:?; cfg.v9:??; cfg.v10:??; cfg.v10:1?; cfg.v10:*0; cfg.v10:*; cfg.v10:"*"; cfg.v10:"\*"; cfg.v10:\*; cfg.v10:**; cfg.s:"1*"; cfg.s:1?; cfg.s:*1*; cfg.s:*\"10\"*; cfg.s:"*\"10\"*"; cfg.obj:v; cfg.obj:*; cfg.obj:"*"; cfg.obj:?*; cfg.obj:{*; cfg.obj:"{*"; cfg.obj:"{\"k\"*"; cfg.obj:"*]}"; cfg.deep:*1*; cfg.str:*\\d*; cfg.str:"*\\d*"; cfg.str:*\\\\d*; cfg.path:*new*; cfg.path:"*\\new*"; cfg.path:"*\\\\new*"; cfg.path:*x41; cfg.path:"*\x41"; cfg.path:"C:\\new\x41"
"""

COMMON = r"""
tag:a; tag:"a"; tag:a*; tag:*a; tag:?; tag:*; tag:A; tag:a\*b; tag:"a\*b"; tag:feed:x; tag:feed\:x; tag:"feed:x"; tag:"feed:*"; tag:feed\:*; tag:multi\ word; tag:"multi word"; tag:50%; tag:5_%; tag:ą; tag:"ą"; tag:?; tag:zażółć; tag:[a TO b]; tag:>a; tag:a~; tag:a~1; tag:a^2; tag:/a/; tag:(a); tag:(a OR b); tag:(a b); +tag:a; -tag:a; NOT tag:a; NOT NOT tag:a; - - tag:a; --tag:a; tag:a AND tag:b; tag:a OR tag:b; tag:a tag:b; tag:a && tag:b; tag:a || tag:b; !tag:a; tag:a AND NOT tag:b; tag:a NOT tag:b; tag:a AND -tag:b; tag:a -tag:b; (tag:a); ((tag:a)); (tag:a; tag:a); (tag:a OR tag:b) AND tag:b; tag:a OR tag:b AND tag:b; NOT (tag:a OR tag:b); NOT tag:a AND tag:b; NOT tag:a OR tag:b; tag:a and tag:b; tag:a or tag:b; not tag:a; tag:AND; tag:"AND"; tag:OR; tag:NOT; tag:TO; tag:\AND; tag:and; tag : a; tag: a; tag :a; tag:; :a; tag; "tag"; "tag":a; a; *; *:*; a AND tag:a; tag:a AND; AND tag:a; AND; OR; NOT; (); ( ); ""; tag:""; tag:"; tag:"a; tag:a"; tag:'a'; tag:a'b; tag:\; tag:\\; tag:"\\"; tag:"\""; tag:\"; tag:a\ b; tag:a\; tag:<a; tag:a<b; tag:a>b; tag:a=b; tag:=a; tag:a+b; tag:+a; tag:a-b; tag:-a; tag:a/b; tag:/a; tag:a/; tag:a!; tag:!a; tag:#a; tag:@a; tag:$a; tag:%; tag:&a; tag:a,b; tag:a;b; tag:{a}; tag:a{; tag:a}; tag:a[; tag:a]; tag:a(b; tag:a|b; tag:`a; tag:^a; tag:a^; tag:~a; tag:a~b; tag:T12:30; tag:T12:30:40; tag:T12:3; tag:T12:30:4; tag:T12:30:40:50; tag:T12:30:40x; tag:xT12:30; tag:xT12:30; tag:2020-01-01T12:30:00; tag.a:a; tag.*:a; tag*:a; Tag:a; TAG:a; object.tag:a; file.tag:a; config.tag:a; blob.tag:a; static.tag:a; static.family:x; sample.tag:a; object.object.tag:a; file.file.tag:a; file:a; file:*; object:*; config:*; blob:"*"; file.:a; .tag:a; ta\g:a; "tag:a"; tag:"a" AND tag:b; tag:"a"b; tag:a"b"; tag:"a""b"; tag:"a" "b"; tag:a
; dhash:x; dhash:*; dhash:<<d>>; dhash:<<D>>; dhash:"<<d>>"; dhash:<<d8>>*; dhash:[0 TO f]; object.dhash:<<d>>; file.dhash:<<d>>; NOT dhash:<<d>>; comment:hello; comment:"hello world"; comment:hello*; comment:*world*; comment:*ą*; comment:"*line\nbreak*"; comment:*; NOT comment:*; comment:"say \"hi\""; comment:*\"hi*; comment:*%*; comment:HELLO*;
comment_author:alice; comment_author:"alice"; comment_author:ali*; comment_author:nobody; comment_author:Alice; comment_author:*; NOT comment_author:alice; comment_author:frank; comment_author:grace; comment_author:[a TO b]; comment_author.x:alice; comment_author:gone;
shared:alice; shared:crew; shared:public; shared:registered; shared:nogroup; shared:readers; shared:admin; shared:dave; shared:grace; shared:"crew"; shared:cre*; shared:Crew; NOT shared:public; shared:[a TO b]; shared:*; shared:private; shared:frank;
uploader:alice; uploader:crew; uploader:public; uploader:registered; uploader:nogroup; uploader:bob; uploader:carol; uploader:admin; uploader:readers; uploader:grace; uploader:ali*; uploader:*; NOT uploader:alice; uploader:"alice"; uploader:private; uploader:frank; uploader:erin; uploader:dave; sharer:alice; sharer:crew; sharer:public; sharer:nogroup; sharer:bob; sharer:carol; sharer:admin; sharer:registered; sharer:ali*; NOT sharer:alice; sharer:erin;
upload_time:2024; upload_time:2024-01; upload_time:2024-01-01; upload_time:"2024-01-01"; upload_time:"2024-01-01 10:00"; upload_time:"2024-01-01 10:00:00"; upload_time:"2024-01-01 10"; upload_time:2024-01-01T10:00; upload_time:"2024-01-01T10:00"; upload_time:2024-13-01; upload_time:2024-02-30; upload_time:"2024-01-01 25:00"; upload_time:*; upload_time:2024*; upload_time:1h; upload_time:>=1h; upload_time:<=1h; upload_time:>1h; upload_time:<1h; upload_time:>=1H; upload_time:>=60M; upload_time:>=1m; upload_time:>=1y; upload_time:>=1Y; upload_time:>=1w; upload_time:>=1W; upload_time:>=1d; upload_time:>=1D; upload_time:>=3600s; upload_time:>=3600S; upload_time:>=1h30M; upload_time:>=1h1h; upload_time:>=1m1M; upload_time:>=s1; upload_time:>=1x; upload_time:>=1; upload_time:>=h; upload_time:>="1h"; upload_time:>="1h 5M"; upload_time:[2h TO 1h]; upload_time:[1h TO 2h]; upload_time:[1h TO *]; upload_time:[* TO 1h]; upload_time:[* TO *]; upload_time:{1h TO *}; upload_time:[2020-01-01 TO 1h]; upload_time:[2020-01-01 TO 2099-01-01]; upload_time:[2099-01-01 TO 2020-01-01]; upload_time:{2020-01-01 TO 2099-01-01}; upload_time:["2020-01-01 10:00" TO "2099-01-01 10:00:00"]; upload_time:>=2020-01-01; upload_time:<2020-01-01; upload_time:>2020-01-01; upload_time:>=9999-12-31; upload_time:<=0001-01-01; upload_time:>=0000-01-01; upload_time:<=9999y; upload_time:<=99999999y; upload_time:>=99999999999999d; upload_time:>=-1h; upload_time:>=1.5h; upload_time:>=0h; upload_time:<=0s; upload_time:""; upload_time:" "; upload_time:2024-1-1; upload_time:24-01-01; upload_time:" 2024-01-01"; upload_time:"2024-01-01 "; upload_time:"2024-01-01  10:00"; upload_time:"2024-01-01 1:2"; upload_time:[2020-01-01 TO 2099-01-?1]; upload_time.x:1; NOT upload_time:>=1h; NOT upload_time:<=1h; upload_time:\2024-01-01; upload_time:1969-12-31;
upload_count:1; upload_count:2; upload_count:0; upload_count:-1; upload_count:"1"; upload_count:"-1"; upload_count:x; upload_count:1.0; upload_count:*; upload_count:>1; upload_count:>=1; upload_count:<2; upload_count:<=1; upload_count:<1; upload_count:[1 TO 2]; upload_count:{1 TO 3}; upload_count:[2 TO 1]; upload_count:[* TO 1]; upload_count:[1 TO *]; upload_count:[* TO *]; upload_count:[0 TO 2]; upload_count:[a TO b]; upload_count:[1 TO 1]; upload_count:{1 TO 1}; upload_count:01; upload_count:" 1"; upload_count:1_0; upload_count:99999999999999999999; NOT upload_count:1; upload_count:+1; upload_count:"+1"; upload_count:1?;
favorites:alice; favorites:bob; favorites:nobody; favorites:ali*; NOT favorites:alice; favorites:Alice; favorites:public; favorites:*; favorites:"alice"; favorites:admin; karton:*; karton:7b0e3b6e-0c5b-4d0e-9d52-0c8f3a2f6c11; karton:"7b0e3b6e-0c5b-4d0e-9d52-0c8f3a2f6c11"; karton:7B0E3B6E0C5B4D0E9D520C8F3A2F6C11; karton:7b*; karton:zz; karton:"*"; karton:**; karton:\*; NOT karton:*; karton:{7b0e3b6e-0c5b-4d0e-9d52-0c8f3a2f6c11}; karton:"{7b0e3b6e-0c5b-4d0e-9d52-0c8f3a2f6c11}"; karton:[a TO b]; karton.x:*; karton:"";
parent:(tag:a); child:(tag:a); parent:(); parent:tag:a; parent:a; parent:*; parent:"x"; parent:(a); parent:(tag:a OR tag:b); parent:(NOT tag:a); NOT parent:(tag:a); child:(child:(tag:*)); parent:(parent:(tag:*)); parent:(file.name:*); parent:(name:*); child:(config.family:*); child:(family:*); child:(dhash:*); parent:(dhash:*); NOT child:(dhash:*); parent:((tag:a)); parent:(tag:a tag:b); file.parent:(tag:a); parent.x:(tag:a); parent: (tag:a); parent:[a TO b]; parent:(file:x); parent:-tag:a; parent:(tag:a; parent:-(tag:a); parent:+(tag:a); parent:NOT (tag:a); child:(parent:(tag:a)); child:(multi:x); child:(file.multi:<<d>>); child:(comment:*); parent:(shared:public); parent:(uploader:alice); child:(attribute.open:*);
foo:1; foo.bar:1; name; multi:<<d>>; multi:x; file.multi:x; file.multi:<<d>>; file.multi:<<D>>; file.multi:"<<d>> <<e>>"; file.multi:"<<d>>,<<e>>"; file.multi:"<<md5>>"; file.multi:"<<md5>> x"; file.multi:*; file.multi:""; file.multi:" "; file.multi:"<<d>>  <<md5>>"; file.multi:"<<d>>\n<<md5>>"; file.multi:<<d8>>; file.multi:<<d8>>*; file.multi:deadbeef; file.multi:DEADBEEF; file.multi:[a TO b]; NOT file.multi:<<d>>; config.multi:M; config.multi:"M zz"; config.multi:zz; config.multi:*; config.multi:<<cfg>>; config.multi:"\"mark\""; config.multi:ąć; config.multi:"a b"; config.multi:5; config.multi:C:\\new; config.multi:"C:\\new"; config.multi:%; config.multi:_; config.multi:""; blob.multi:<<b>>; blob.multi:content; blob.multi:"content zz"; blob.multi:*; blob.multi:ą; blob.multi:"?"; blob.multi:CONTENT; blob.multi:%; config.multi:"M"; config.multi:m; blob.multi:zz; NOT config.multi:zz; NOT blob.multi:zz; config.multi:sta*; blob.multi:con*; blob.multi:c?ntent;
file.name:search*; file.name:*.exe; file.name:search.exe; file.name:alternative*; file.name:"search.exe"; file.name:SEARCH*; NOT file.name:search*; NOT file.name:*; file.name:[a TO z]; file.name.x:1; file.name:s?arch.exe; file.name:search_exe; file.name:"*.exe"; file.name:search\.exe; file.name:""; file.size:12; file.size:0; file.size:1kb; file.size:1KB; file.size:"1 kb"; file.size:"1  kb"; file.size:1.5kb; file.size:1.5; file.size:1b; file.size:1B; file.size:1mb; file.size:1gb; file.size:1tb; file.size:1k; file.size:x; file.size:*; file.size:-1; file.size:"-1"; file.size:>0; file.size:>=0; file.size:>10; file.size:<10; file.size:<=1kb; file.size:[0 TO 10]; file.size:{0 TO 100}; file.size:[10 TO 0]; file.size:[* TO *]; file.size:[* TO 10]; file.size:[0 TO *]; file.size:[1? TO 2]; file.size:["1 kb" TO "2 kb"]; file.size:>="1 kb"; file.size:">=1kb"; file.size:>=1.3kb; file.size:>=0.5; file.size:1e3; file.size:01; file.size:" 1"; file.size:"1 "; file.size:1_0; file.size:99999999999999999999; file.size:>99999999999999999999; file.size:99999999999gb; file.size:""; NOT file.size:>0; NOT file.size:0; file.size:.5kb; file.size:5.kb; file.size:[x TO 1]; file.size:[1 TO x]; file.size:>*; file.size:>=*; file.size:+1; file.size:"+1"; file.size:1Kb;
file.type:ASCII*; file.type:*text*; file.type:"*text, with*"; file.type:ascii*; NOT file.type:data; file.md5:<<md5>>; file.md5:<<MD5>>; file.md5:d*; file.sha256:<<d>>; file.sha1:*; file.sha512:*; file.crc32:*; file.crc32:0*; file.ssdeep:*; file.ssdeep:3*; file.ssdeep:"3:*"; NOT file.ssdeep:*; file.md5:[a TO b]; file.humanhash:x; file.id:x; file.upload_time:>=1h; file.parents:x; file.crc32:deadbeef;
config.family:search; config.family:sea*; config.family:*; config.type:static; config.type:*; config.config_type:static; NOT config.family:search; NOT config.type:static; config.family:[a TO z]; static.cfg.mark:M; config.cfg.mark:M; static.multi:M; config.family.x:1; config.cfg:*M*; NOT config.cfg.mark:M; NOT config.cfg:*M*; NOT config.cfg.mark:M*; NOT config.cfg.v9:>1;
blob.name:search*; blob.type:raw; blob.size:>0; blob.size:5; blob.size:1kb; blob.content:*content*; blob.content:content; blob.content:"content of search"; blob.content:*\x00*; blob.content:*; blob.content:?*; blob.content:""; blob.first_seen:>=1h; blob.last_seen:>=1h; blob.last_seen:<=1h; blob.upload_time:>=1h; blob.first_seen:2024-01-01; NOT blob.name:search*; NOT blob.content:*content*; NOT blob.last_seen:>=1h; blob.content:[a TO b]; blob.content.x:1; blob.content:*%*; blob.content:*\\*; blob.content:"*\"*"; blob.content:CONTENT*;
attribute.open:*; attribute.open:a; attribute.open:5; attribute.open:"5"; attribute.open:true; attribute.open:True; attribute.open:str*; attribute.open:"str\*ing"; attribute.open.a.b:x; attribute.open.a.b*:x; attribute.open.a.b:"y z"; attribute.open.a:*x*; attribute.open:*x*; attribute.open*:l1; attribute.open:l1; attribute.open.k:v; attribute.open*.k:v; attribute.open.n:[1 TO 2]; attribute.open:ąć; attribute.open:ą?; attribute.open:*ć*; attribute.open:"a\"b"; attribute.open:"multi word"; attribute.open:>4; attribute.open:<4; attribute.open:>=5; attribute.open:[4 TO 6]; attribute.open:["a" TO "n"]; attribute.open:[a TO n]; attribute.open:[* TO *]; attribute.open:[* TO 6]; attribute.open:[1 TO 10]; attribute.open:[9 TO 10]; attribute.open:[true TO true]; attribute.open:[null TO null]; attribute.open:[a TO 5]; meta.open:5; meta.open:*; metakey.open:5; attribute:a; attribute:*; attribute.:a; meta:a; attribute.OPEN:5; attribute.nokey:a; attribute.hidden:secret; attribute.hidden:sec*; attribute.hidden:*; attribute.hidden:[a TO z]; attribute.hidden:"secret"; attribute.closed:x; attribute.settable:x; attribute.linked:x; attribute.karton:x; attribute.open:(5); attribute.open:-5; attribute.open:"-5"; attribute.open:null; attribute.open:""; attribute.open:?; attribute.open:\u0105*; attribute.open:"\u0105ć"; attribute.open:*\\*; attribute.open:"back\\slash"; attribute.open:"line\nbreak"; attribute.open:*\n*; attribute.open:0; attribute.open:0.0; attribute.open:false; attribute.open:1.5; attribute.open:*1*; attribute.open:1*; attribute.open:"{*"; attribute.open:"*{*"; attribute.open:"[*"; attribute.open:*"*; NOT attribute.open:*; NOT attribute.open:5; file.attribute.open:5; config.attribute.open:5; attribute.open.:5; attribute.open..a:5; attribute.op\en:5; attribute."open":5; attribute.open*:5; attribute.open**:5; attribute.open.*:5; attribute*.open:5; attribute.open:50%; attribute.open:50_; attribute.open:😀; attribute.open:x?y; attribute.big:1; attribute.open:1e5; attribute.open:100000; attribute.open:12345678901234567890; attribute.open:>"a"; attribute.open:>a; attribute.open:>A AND tag:a
"""

PER_KIND = r"""name:search*; name:*; size:>0; size:[1 TO 100]; type:*; type:raw; type:static; family:search; cfg.mark:M; md5:*; sha256:<<d>>; content:*content*; multi:<<d>>; multi:M; multi:content; multi:*; multi:""; first_seen:>=1h; last_seen:>=1h; NOT name:search*; NOT family:search; NOT multi:M; NOT multi:<<d>>; ssdeep:*; crc32:*; config_type:x; upload_time:>=1h; tag:a; NOT tag:a; parent:(name:*); parent:(file.name:*); file.name:*; config.family:*; blob.name:*; object.name:*; humanhash:x; dhash:<<d>>; favorites:alice; upload_count:1; size:[* TO *]; file.size:[* TO *]; name:[* TO *]; cfg:[* TO *]; cfg.x:[* TO *]"""


def split(text):
    # A semicolon inside a query is not one of ours when it is not followed by a blank or the end of the line.
    return [query.strip(" \n") for query in text.replace(";\n", "; ").replace("\n;", "; ").split("; ") if query.strip()]


def stock(pair):
    pair.put("attribute/closed/permissions", {"group_name": "crew", "can_read": True, "can_set": False})
    pair.upload(
        "file of search",
        name="search.exe",
        by="alice",
        options={
            "tags": [
                {"tag": tag}
                for tag in (
                    "a",
                    "b",
                    "feed:x",
                    "multi word",
                    "50%",
                    "a*b",
                    "zażółć",
                    "a-b",
                    "a/b",
                    "a'b",
                    "a,b",
                    "and",
                    "\\",
                    '"',
                    "t12:30",
                )
            ]
        },
    )
    pair.upload("file of search", name="alternative.dll", by="bob", options={"upload_as": "crew"})
    pair.upload(
        "second file of search, which is longer" * 30, name="other.txt", by="carol", options={"upload_as": "public", "tags": [{"tag": "a"}]}
    )
    pair.upload("third file", name="third", by="bob", options={"upload_as": "private"})
    pair.upload(b"\x00\x01\x02", name="binary.bin", by="admin", options={"upload_as": "public", "tags": [{"tag": "b"}]})
    pair.keep(
        "cfg",
        pair.post("config", {"family": "search", "cfg": BIG, "tags": [{"tag": "a"}], "parent": sha("file of search")}, by="alice"),
        "id",
    )
    pair.post(
        "config",
        {
            "family": "other",
            "config_type": "dynamic",
            "cfg": {"mark": "N", "v9": "9", "path": ["C:\\new\\x41"], "lst": {"a": 3}, "obj": [{"k": "w"}]},
        },
        by="carol",
    )
    pair.post(
        "blob",
        {"blob_name": "search1", "blob_type": "raw", "content": "content of search", "tags": [{"tag": "b"}], "parent": "<<cfg>>"},
        by="alice",
    )
    pair.post("blob", {"blob_name": "search2", "blob_type": "other", "content": 'zażółć \x00 50% \\ " \n line\ttab'}, by="alice")
    pair.post("blob", {"blob_name": "search3", "blob_type": "", "content": ""}, by="bob", label="empty")
    target = f"object/{sha('file of search')}"
    for comment in ("hello", "hello world", "zażółć", "line\nbreak", 'say "hi"', "50%"):
        pair.post(f"{target}/comment", {"comment": comment}, by="alice")
    pair.post("object/<<cfg>>/comment", {"comment": "of admin"})
    for value in (
        "str*ing",
        5,
        True,
        {"a": {"b": ["x", "y z"]}, "n": 1.5},
        ["l1", {"k": "v"}],
        "ąć",
        'a"b',
        "multi word",
        "back\\slash",
        "line\nbreak",
        0,
        False,
        "null",
        "5",
        "😀",
        "50%",
        1e5,
        12345678901234567890,
        9,
        -5,
        [[1]],
        "",
    ):
        pair.post(f"{target}/attribute", {"key": "open", "value": value}, by="alice")
    pair.post(f"{target}/attribute", {"key": "hidden", "value": "secret"}, by="alice")
    pair.post(f"{target}/attribute", {"key": "settable", "value": "x"}, by="alice")
    pair.post(f"{target}/attribute", {"key": "closed", "value": "x"}, by="admin")
    pair.put(f"{target}/favorite", by="alice")
    pair.put(f"{target}/favorite", by="admin")
    pair.put(f"{target}/share", {"group": "registered"}, by="alice")
    pair.put(f"object/{sha('third file')}/share", {"group": "crew"}, by="bob")
    for user in ("alice", "erin"):
        pair.put(f"object/{sha('file of search')}/child/{sha('second file of search, which is longer' * 30)}", by=user)
    pair.put(f"object/<<cfg>>/child/{sha('file of search')}", by="alice")
    for index in (0, 1):
        kept = pair.variables[index]
        kept.update(
            {
                "d": sha("file of search"),
                "D": sha("file of search").upper(),
                "d8": sha("file of search")[:8],
                "e": sha("third file"),
                "b": sha("content of search"),
            }
        )
    pair.keep("md5", pair.get(f"file/{sha('file of search')}", by="alice"), "md5")
    pair.keep("MD5", pair.get(f"file/{sha('file of search')}", by="alice"), lambda body: body["md5"].upper())
    pair.account("gone", "adding_comments", groups=("crew",))
    pair.post(f"{target}/comment", {"comment": "of who is gone"}, by="gone")
    pair.delete("user/gone")


def find(pair, kind, query, by):
    text = pair.fill(query, 0)
    texts = [pair.fill(query, index) for index in (0, 1)]
    if texts[0] != texts[1]:
        pair.variables[0]["query"], pair.variables[1]["query"] = (quote(text) for text in texts)
        path = f"{kind}?count=40&query=<<query>>"
    else:
        path = f"{kind}?count=40&query={quote(text)}"
    pair.get(path, by=by, label=query)


@scenario
def search(pair):
    stock(pair)
    for query in split(CFG):
        find(pair, "config", query, "alice")
        find(pair, "config", f"NOT {query}", "alice")
    for query in split(COMMON):
        for user in ("alice", "admin", "dave"):
            find(pair, "object", query, user)
    for query in split(COMMON):
        if any(word in query for word in ("upload", "share", "favor", "attribute.", "parent:(", "child:(")):
            for user in ("bob", "carol", "erin"):
                find(pair, "object", query, user)
    for kind in ("file", "config", "blob", "object"):
        for query in split(PER_KIND):
            find(pair, kind, query, "alice")
            pair.get(f"{kind}/count?query={quote(pair.fill(query, 0))}", by="alice", label=query)


PIECES = [
    "tag:a",
    "tag:*b*",
    'comment:"*hello*"',
    "NOT",
    "AND",
    "OR",
    "-",
    "(",
    ")",
    "file.size:>10",
    "config.cfg.mark:M",
    "config.cfg:*M*",
    "parent:(",
    "child:(",
    "attribute.open:5",
    "attribute.open:*x*",
    "upload_count:1",
    "blob.content:*con*",
    '"',
    "\\",
    ":",
    "[",
    "]",
    "TO",
    "tag:[",
    "*",
    "?",
    "a",
    "{",
    "}",
    ">",
    "<=",
    "favorites:alice",
    "shared:crew",
    "uploader:alice",
    "upload_time:>=1h",
    "file.name:*e*",
    "x",
    " ",
    "~",
    "^",
    "/",
    "+",
    "config.family:search",
    "karton:*",
    "dhash:*",
    "'",
]


@scenario
def search_random(pair):
    """Valid queries joined at random, and pieces in any order."""
    chance = random.Random(pair.seed)
    valid = [piece for piece in PIECES if ":" in piece and len(piece) > 4 and not piece.endswith(("(", "["))]

    def expression(depth):
        if depth == 0 or chance.random() < 0.3:
            return chance.choice(valid)
        form = chance.randrange(6)
        if form == 0:
            return f"NOT {expression(depth - 1)}"
        if form == 1:
            return f"({expression(depth - 1)})"
        if form == 2:
            return f"{chance.choice(('parent', 'child'))}:({expression(depth - 1)})"
        return f"{expression(depth - 1)} {chance.choice(('AND', 'OR'))} {expression(depth - 1)}"

    for _ in range(pair.steps):
        find(pair, chance.choice(("object", "file", "config", "blob")), expression(3), chance.choice(("alice", "admin", "bob")))
    for _ in range(pair.steps):
        find(pair, "object", chance.choice(("", " ")).join(chance.choice(PIECES) for _ in range(chance.randrange(1, 7))), "alice")


@scenario
def search_values(pair):
    """Values of configs and attributes that are made up, and what finds them: exact, by wildcards, by ranges."""
    chance = random.Random(pair.seed)
    # The reference looks at the escapes by which it stores other signs; the examples of `search` have them.
    alphabet = list("abB\\\"*?%_ '/:10.-(")
    scalars = [0, 1, -1, 10, 9, 1.5, 1e16, True, False, None, "1", "true", "null", "", "1.0", "01", 10**25]

    def text():
        return "".join(chance.choice(alphabet) for _ in range(chance.randrange(1, 5)))

    def value(depth):
        roll = chance.random()
        if depth == 0 or roll < 0.5:
            return chance.choice(scalars) if chance.random() < 0.4 else text()
        if roll < 0.75:
            return [value(depth - 1) for _ in range(chance.randrange(0, 3))]
        return {chance.choice(("k", "l", text())): value(depth - 1) for _ in range(chance.randrange(0, 3))}

    def escape(text):
        return "".join("\\" + letter if letter in '\\"*?' else letter for letter in text)

    texts = []
    for index in range(60):
        made = value(3)
        pair.post("config", {"family": "made", "cfg": {"made": made, "index": index}}, by="alice")
        pair.upload(f"made {index}", by="alice", options={"attributes": [{"key": "open", "value": {"made": made}}]})
        texts += [item for item in json_texts(made)]
    for word in itertools.islice(dict.fromkeys(texts), 80):
        plain = escape(word)
        cut = escape(word[:-1]) if word else ""
        for form in (
            f'"{plain}"',
            f'"{cut}*"',
            f'"*{plain}*"',
            f'"*{escape(word[1:])}"',
            f'"{plain[:3]}?"',
            f'["{plain}" TO "z"]',
            f'>="{plain}"',
        ):
            if form[0] in "[>" and (set(word) & set('\\"*?') or word in scalars):
                # Bounds of ranges have no escapes in the reference, and of two kinds they meet items of two kinds.
                continue
            for field in ("config.cfg.made", "config.cfg.made*", "config.cfg.made.k", "attribute.open.made"):
                find(pair, "object", f"{field}:{form}", "alice")
    for word in scalars:
        word = json.dumps(word).strip('"')
        for form in (word, f'"{word}"', f"*{word}*", f"{word}*", f"[{word} TO {word}]", f">{word}", f"<={word}"):
            for field in ("config.cfg.made", "config.cfg.made*", "config.cfg.made.k", "attribute.open.made", "attribute.open.made*"):
                if form:
                    find(pair, "object", f"{field}:{form}", "alice")


def json_texts(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from json_texts(item)
