"""The sentences of ``mme`` in Korean, by the English; client/tests/test_words.py compares both."""

MESSAGES: dict[str, str] = {
    # --- reasons.py ---
    "There is no such file or folder.": "파일이나 폴더가 없습니다.",
    "This is a folder, and a file is needed.": "폴더입니다. 파일을 지정하세요.",
    "This is a file, and a folder is needed.": "파일입니다. 폴더를 지정하세요.",
    "It may not be read or written.": "읽거나 쓸 권한이 없습니다.",
    "It is there already.": "이미 있습니다.",
    "The disk is full.": "디스크에 남은 공간이 없습니다.",
    "It is one of {limit}.": "다음 중 하나여야 합니다: {limit}",
    "It is {limit} or more.": "{limit} 이상이어야 합니다.",
    "It is {limit} or less.": "{limit} 이하여야 합니다.",
    "It is a whole number.": "정수여야 합니다.",
    "It is a number.": "숫자여야 합니다.",
    "{value} is no version; write it as digits:2.": (
        "버전이 아닙니다: {value}. digits:2처럼 쓰세요."
    ),
    "{value} is no address of a portal, such as https://HOST.": (
        "포털의 주소가 아닙니다: {value}. https://HOST처럼 쓰세요."
    ),
    "The address of a portal has no password, query or fragment.": (
        "포털의 주소에는 비밀번호, 쿼리, 프래그먼트를 쓸 수 없습니다."
    ),
    "The token has characters that no token has.": "토큰에 쓸 수 없는 문자가 있습니다.",
    # --- config.py ---
    "There is no home. Set HOME or XDG_CONFIG_HOME.": (
        "홈 폴더가 없습니다. HOME 또는 XDG_CONFIG_HOME을 설정하세요."
    ),
    "Others may read it: chmod 600 {path}": (
        "다른 사용자가 읽을 수 있습니다. 실행하세요: chmod 600 {path}"
    ),
    "It is not as mme login wrote it. Write it anew: mme login URL.": (
        "mme login이 쓴 내용이 아닙니다. 다시 쓰려면: mme login URL"
    ),
    # --- app.py ---
    "Example:": "예:",
    "Usage:": "사용법:",
    "Arguments:": "인수:",
    "Options:": "옵션:",
    "Commands:": "명령:",
    "[required]": "[필수]",
    "Show this message and exit.": "이 도움말을 표시합니다.",
    "Install the completion of this shell.": "이 셸의 자동 완성을 설치합니다.",
    "Print the completion of this shell.": "이 셸의 자동 완성 스크립트를 출력합니다.",
    "MME Portal from the command line: push models, deploy endpoints, call models.": (
        "명령줄에서 MME Portal을 사용합니다. 모델을 푸시하고, 엔드포인트를 배포하고, 모델을 "
        "호출합니다."
    ),
    "Which portal, and who calls: mme login, or MME_URL and MME_TOKEN. Exit codes: 0 done, "
    "1 failed, 2 wrong use, 3 not found, 4 not allowed, 5 refused artifact, 6 timed out, "
    "7 portal unreachable. mme --version says the versions of both ends.": (
        "포털과 호출자는 mme login 또는 MME_URL과 MME_TOKEN으로 정합니다. 종료 코드: 0 완료, "
        "1 실패, 2 잘못된 사용, 3 찾을 수 없음, 4 허용되지 않음, 5 거부된 아티팩트, 6 시간 초과, "
        "7 포털에 연결할 수 없음. mme --version은 양쪽의 버전을 표시합니다."
    ),
    "Make, list and revoke tokens.": "토큰을 만들고, 나열하고, 폐기합니다.",
    "Print what the API answers, as JSON.": "API의 응답을 JSON으로 출력합니다.",
    "Print the bare result: no progress, no hints.": (
        "결과만 출력합니다. 진행 상황과 안내는 생략합니다."
    ),
    "Give up after so many seconds, with exit code 6.": (
        "이 시간(초)이 지나면 종료 코드 6으로 중단합니다."
    ),
    "Keep a portal's address and a token, for the commands after this one.": (
        "다음 명령에서 사용할 포털 주소와 토큰을 저장합니다."
    ),
    "The portal's address.": "포털의 주소입니다.",
    "Read the token from standard input, and open no browser.": (
        "브라우저를 열지 않고 표준 입력에서 토큰을 읽습니다."
    ),
    "Who calls, and what they may do.": "호출자와 호출자의 권한을 표시합니다.",
    "How the portal stands.": "포털의 상태를 표시합니다.",
    "Call a model with pictures, and wait for the answers.": (
        "사진으로 모델을 호출하고 응답을 기다립니다."
    ),
    "The endpoint's name.": "엔드포인트의 이름입니다.",
    "The names of the endpoints.": "엔드포인트의 이름들입니다.",
    "cost a month": "한 달 비용",
    "so far": "지금까지",
    "cost so far": "지금까지 비용",
    "{cost} without {types}": "{cost}({types} 제외)",
    "to be torn down": "삭제 예정",
    "Until it begins it can be undone: mme teardown {name} --undo": (
        "시작하기 전에는 취소할 수 있습니다: mme teardown {name} --undo"
    ),
    "Files, or whatever the model takes; - is standard input.": (
        "파일 또는 모델이 받는 데이터입니다. -는 표준 입력입니다."
    ),
    "MODEL is a target model: the key of an archive.": (
        "MODEL은 대상 모델, 즉 아카이브의 키입니다."
    ),
    "Print the container's own bytes.": "컨테이너의 응답을 그대로 출력합니다.",
    "Make a token, and print it: it is shown this once.": (
        "토큰을 만들어 출력합니다. 토큰은 이번 한 번만 표시됩니다."
    ),
    "By which you know it again.": "토큰을 알아볼 수 있는 이름입니다.",
    "What it may do: read, upload, invoke, operate or admin; once for each.": (
        "허용할 작업입니다. read, upload, invoke, operate, admin 중 하나를 각각 지정하세요."
    ),
    "How long it counts.": "유효 기간(일)입니다.",
    "Your tokens.": "내 토큰을 나열합니다.",
    "Also those that expired or were revoked.": "만료되었거나 폐기된 토큰도 표시합니다.",
    "Revoke one of your tokens.": "내 토큰을 폐기합니다.",
    "Its id or its name.": "토큰의 ID 또는 이름입니다.",
    "{name} is missing.": "{name} 값이 없습니다.",
    "There is no option {name}.": "{name} 옵션이 없습니다.",
    "There is no command {name}.": "{name} 명령이 없습니다.",
    "This is too much: {names}": "인수가 너무 많습니다: {names}",
    "{name} needs a value.": "값이 필요합니다: {name}",
    "The value of {name} is not valid: {why}": "값이 올바르지 않습니다. {name}: {why}",
    "Did you mean: {names}": "혹시 다음을 찾으셨나요? {names}",
    "See: {command} --help": "도움말: {command} --help",
    "Upload an archive as the next version of a model, which is made if need be.": (
        "아카이브를 모델의 다음 버전으로 업로드합니다. 모델이 없으면 만듭니다."
    ),
    "A .tar.gz file; - is standard input.": ".tar.gz 파일입니다. -는 표준 입력입니다.",
    "The model; by default the file's name without _v3.tar.gz.": (
        "모델입니다. 기본값은 _v3.tar.gz를 뺀 파일 이름입니다."
    ),
    "What is new in it.": "이 버전에서 달라진 점입니다.",
    "What the model is for, where this makes it.": "모델을 새로 만들 때의 용도 설명입니다.",
    "Wait for its validation, and show its steps.": "검증이 끝날 때까지 단계를 표시합니다.",
    "The registered models.": "등록된 모델을 나열합니다.",
    "Only those that have these words somewhere.": "이 단어가 모두 있는 모델만 표시합니다.",
    "Find models by words, a checksum, tags, an owner, an alias or their calls.": (
        "단어, 체크섬, 태그, 소유자, 별칭 또는 호출로 모델을 찾습니다."
    ),
    "Only those with this tag; as often as needed.": (
        "이 태그가 있는 모델만 표시합니다. 여러 번 지정할 수 있습니다."
    ),
    "Only those of this owner.": "이 소유자의 모델만 표시합니다.",
    "Change what is said of a model, or of a version.": ("모델이나 버전의 설명 정보를 변경합니다."),
    "What is known of a version, such as accuracy=0.93; as often as needed.": (
        "버전에 대해 알려진 정보입니다. 예: accuracy=0.93. 여러 번 지정할 수 있습니다."
    ),
    "Remove this metadata of a version; as often as needed.": (
        "버전에서 이 메타데이터를 제거합니다. 여러 번 지정할 수 있습니다."
    ),
    "The note of a version.": "버전의 메모입니다.",
    "Say what to change of a version: --meta, --unset or --note.": (
        "버전에서 변경할 내용을 --meta, --unset, --note 중에서 지정하세요."
    ),
    "--meta, --unset and --note are of a version: digits:2.": (
        "--meta, --unset, --note는 버전에만 사용할 수 있습니다. 예: digits:2"
    ),
    "A file in Markdown that says what it is for; - is standard input.": (
        "모델의 용도를 설명하는 Markdown 파일입니다. -는 표준 입력입니다."
    ),
    "{file} is no text in UTF-8.": "UTF-8 텍스트가 아닙니다: {file}",
    "A model: digits; or a version: digits:2.": "모델(예: digits) 또는 버전(예: digits:2)입니다.",
    "Add this tag; as often as needed.": "이 태그를 추가합니다. 여러 번 지정할 수 있습니다.",
    "Remove this tag; as often as needed.": "이 태그를 제거합니다. 여러 번 지정할 수 있습니다.",
    "Who answers for it; empty: who made it.": (
        "모델의 소유자입니다. 비워 두면 모델을 만든 사람입니다."
    ),
    "Say what to change: --description, --tag, --untag or --owner.": (
        "변경할 내용을 --description, --tag, --untag, --owner 중에서 지정하세요."
    ),
    "By this metadata of their ready versions, the largest first.": (
        "준비된 버전의 이 메타데이터가 큰 순서로 표시합니다."
    ),
    "By this metadata of their ready versions, the smallest first.": (
        "준비된 버전의 이 메타데이터가 작은 순서로 표시합니다."
    ),
    "Give one of --sort, --best and --least.": "--sort, --best, --least 중 하나만 지정하세요.",
    "tags": "태그",
    "owner": "소유자",
    "Words that are each in a name, description, tag, alias, note, file name or person; or the "
    "beginning of a SHA-256.": (
        "이름, 설명, 태그, 별칭, 메모, 파일 이름, 사용자에서 각 단어를 찾습니다. "
        "SHA-256의 앞부분도 됩니다."
    ),
    "The state of the newest version.": "최신 버전의 상태입니다.",
    "Only those with this alias.": "이 별칭이 있는 모델만 표시합니다.",
    "Only those that were called in so many days.": "최근 며칠 안에 호출된 모델만 표시합니다.",
    "Only those that were never called.": "호출된 적이 없는 모델만 표시합니다.",
    "The latest upload comes first.": "기본값은 최근 업로드 순입니다.",
    "Give one of --called-in and --never-called.": (
        "--called-in과 --never-called 중 하나만 지정하세요."
    ),
    "aliases": "별칭",
    "Two versions beside each other, and where they differ.": (
        "두 버전을 나란히 놓고 다른 점을 표시합니다."
    ),
    "digits:1, digits@live or digits; by default the version before.": (
        "digits:1, digits@live 또는 digits입니다. 기본값은 바로 앞 버전입니다."
    ),
    "Also what is the same of both.": "두 버전이 같은 항목도 표시합니다.",
    "calls, p50_ms, cold_share: of the last {days} days": (
        "calls, p50_ms, cold_share: 최근 {days}일의 호출 기준"
    ),
    "Call both with the same pictures, and compare their answers.": (
        "같은 사진으로 두 버전을 호출하고 응답을 비교합니다."
    ),
    "For --answers: an endpoint that serves both.": (
        "--answers와 함께 사용합니다. 두 버전을 모두 서빙하는 엔드포인트입니다."
    ),
    "For --answers: print a CSV file.": "--answers와 함께 사용합니다. CSV 파일을 출력합니다.",
    "Say with --endpoint NAME on which endpoint both are called.": (
        "두 버전을 호출할 엔드포인트를 --endpoint NAME으로 지정하세요."
    ),
    "The portal goes on with it. See {address}": (
        "포털에서 작업이 계속됩니다. 확인할 주소: {address}"
    ),
    "{done} of {all} pictures": "사진 {done}/{all}장",
    "To look at and to send: {address}": "결과를 보고 공유할 주소: {address}",
    "picture": "사진",
    "right label": "올바른 레이블",
    "The same label: {same} of {all}": "같은 레이블: {same}/{all}",
    "Failed: {failed} of {all}": "실패: {failed}/{all}",
    "Counted and not shown, as your role does not see the calls of others: {count}": (
        "집계에는 포함되지만 다른 사용자의 호출을 볼 권한이 없어 표시되지 않는 사진: {count}"
    ),
    "Left out, over the limit: {count}": "제한을 넘어 제외된 사진: {count}",
    "Right, {name}: not known without a test set": (
        "정답({name}): 테스트 세트가 없어 알 수 없습니다"
    ),
    "Right, {name}: {right} of {all}": "정답({name}): {right}/{all}",
    "label only in {name}: {label}": "한쪽에만 있는 레이블({name}): {label}",
    "label {label} moved: {one} → {other}": "위치가 바뀐 레이블: {label} ({one} → {other})",
    "What is known of it, such as accuracy=0.93; as often as needed.": (
        "accuracy=0.93처럼 버전의 메타데이터를 적습니다. 여러 번 쓸 수 있습니다."
    ),
    "Write it as --meta accuracy=0.93.": "--meta accuracy=0.93처럼 쓰세요.",
    "last call": "마지막 호출",
    "What needs somebody, what runs and costs, what was called.": (
        "조치가 필요한 것, 실행 중인 것과 비용, 오늘의 호출."
    ),
    "Nothing needs you.": "조치할 것이 없습니다.",
    "nobody calls it": "호출이 없음",
    "end date": "종료일",
    "endpoints": "엔드포인트",
    "this month": "이번 달",
    "{cost} {currency}, forecast {forecast} {currency}": (
        "{cost} {currency}, 예상 {forecast} {currency}"
    ),
    "{all}, {cold} of them cold, {failed} failed, half of them within {ms}": (
        "{all}회(콜드 {cold}, 실패 {failed}), 중앙값 {ms}"
    ),
    "Print a CSV file: a line for each event.": "이벤트마다 한 줄인 CSV 파일을 출력합니다.",
    "Before then, as --since.": "이 시각 이전(--since와 같은 형식).",
    "Of the request with this id.": "이 ID의 요청에 해당하는 이벤트.",
    "--follow does not go with --csv, --until or --request.": (
        "--follow는 --csv, --until, --request와 함께 쓸 수 없습니다."
    ),
    "what changed then": "이 기간의 변경 사항",
    "{at}, not by the portal": "{at}, 포털 외 호출",
    "A model with its versions, or one version with all that is known of it.": (
        "모델과 그 버전, 또는 한 버전의 모든 정보를 표시합니다."
    ),
    "digits, or digits:2.": "digits 또는 digits:2입니다.",
    "Download the archive of a version, as it is served.": (
        "버전의 아카이브를 서빙되는 그대로 다운로드합니다."
    ),
    "A version: digits:2.": "버전입니다: digits:2",
    "Where to; - is standard output. By default a file of the archive's name.": (
        "저장할 위치입니다. -는 표준 출력입니다. 기본값은 아카이브 이름의 파일입니다."
    ),
    "The bytes as they were uploaded.": "업로드된 원본을 다운로드합니다.",
    "Replace a file that is there.": "이미 있는 파일을 바꿉니다.",
    "Create an endpoint.": "엔드포인트를 생성합니다.",
    "The instance type; by default the portal's.": "인스턴스 유형입니다. 기본값은 포털 설정입니다.",
    "How many instances.": "인스턴스 수입니다.",
    "When the portal tears it down: 2026-12-24T18:00 on your clock or with a zone, a date "
    "(its beginning, 00:00), or from now: 90m, 8h, 3d.": (
        "포털이 엔드포인트를 삭제할 시각입니다. 2026-12-24T18:00처럼 현지 시각 또는 시간대를 "
        "붙인 시각, 날짜(그날 00:00) 또는 지금부터의 기간(90m, 8h, 3d)으로 지정합니다."
    ),
    "Once it serves, load the models that aliases point at; after changes, too.": (
        "서비스가 시작되면 별칭이 가리키는 모델을 로드합니다. 변경 후에도 로드합니다."
    ),
    "Wait until it serves.": "서빙할 때까지 기다립니다.",
    "The endpoints, or one with its resources.": (
        "엔드포인트 목록, 또는 한 엔드포인트와 그 리소스를 표시합니다."
    ),
    "Those that were torn down, in place of the others.": "삭제된 엔드포인트만 표시합니다.",
    "Those in the AWS account that are not the portal's, in their place.": (
        "포털의 것이 아닌 AWS 계정의 엔드포인트만 표시합니다."
    ),
    "Give --others alone: it lists what the portal does not own.": (
        "--others는 단독으로 쓰세요. 포털의 것이 아닌 엔드포인트를 나열합니다."
    ),
    "Also where the portal has these bytes already.": "같은 바이트가 이미 있어도 업로드합니다.",
    "Wait until it serves, or until it is gone.": "서빙하거나 삭제될 때까지 기다립니다.",
    "Tear endpoints down; the archives stay.": "엔드포인트를 삭제합니다. 아카이브는 남습니다.",
    "Do not ask for its name.": "이름을 묻지 않습니다.",
    "Wait until it is gone.": "삭제가 끝날 때까지 기다립니다.",
    "Who did what, and when.": "누가 언제 무엇을 했는지 표시합니다.",
    "Go on with what happens; Ctrl-C ends it.": (
        "새 이벤트를 계속 표시합니다. Ctrl-C를 누르면 끝납니다."
    ),
    "How many to begin with.": "처음에 표시할 수입니다.",
    "Who did it.": "작업한 사람입니다.",
    "The kind of thing: model, endpoint.": "대상의 종류입니다: model, endpoint",
    "The name of the thing.": "대상의 이름입니다.",
    "info, success, warning or error.": "info, success, warning 또는 error입니다.",
    "Not before then, as 2026-01-31T00:00Z.": (
        "이 시각부터의 이벤트를 표시합니다. 예: 2026-01-31T00:00Z"
    ),
    # --- archives.py ---
    "Say which model it is: --model NAME.": "모델을 지정하세요: --model NAME",
    "These bytes are there already: {name}. --again sends them all the same.": (
        "같은 바이트가 이미 있습니다: {name}. 그래도 보내려면 --again을 사용하세요."
    ),
    "Its note and metadata stay as they are: mme describe {name}": (
        "메모와 메타데이터는 바뀌지 않았습니다. 바꾸려면 mme describe {name} 명령을 사용하세요."
    ),
    "The upload was cut off. Run the same command again: what arrived of a large file is kept "
    "for a day.": (
        "업로드가 중단되었습니다. 같은 명령을 다시 실행하세요. "
        "큰 파일은 도착한 부분이 하루 동안 보관됩니다."
    ),
    "Uploaded as {name} ({size}).": "업로드됨: {name} ({size})",
    "Its validation goes on in the portal. See: mme show {name}": (
        "검증은 포털에서 계속됩니다. 확인: mme show {name}"
    ),
    "waits for its validation": "검증 대기 중",
    "is being validated": "검증 중",
    "ready": "준비됨",
    "rejected": "거부됨",
    "model": "모델",
    "versions": "버전 수",
    "newest ready": "준비된 최신 버전",
    "size": "크기",
    "uploaded": "업로드",
    "type": "유형",
    "version": "버전",
    "by": "사용자",
    "note": "메모",
    "step": "단계",
    "reason": "이유",
    "file": "파일",
    "target model": "대상 모델",
    "served from": "서빙 위치",
    "input": "입력",
    "parameters": "파라미터",
    "load": "로드",
    "first call": "첫 호출",
    "warm call": "웜 호출",
    "memory": "메모리",
    "same as": "동일한 버전",
    "With -o - the archive itself is the output.": "-o - 옵션에서는 아카이브 자체가 출력됩니다.",
    "it is there already; --force replaces it": (
        "이미 있는 파일입니다. 바꾸려면 --force를 사용하세요"
    ),
    "{name} was refused.": "거부되었습니다: {name}",
    "{n} bytes": "{n}바이트",
    "There are none.": "없습니다.",
    # --- serving.py ---
    "The portal goes on with the endpoint. See: mme endpoints {name}": (
        "포털에서 엔드포인트 생성을 계속합니다. 확인: mme endpoints {name}"
    ),
    "Standard input is no terminal: confirm the teardown with --yes.": (
        "표준 입력이 터미널이 아닙니다. --yes 옵션으로 삭제를 확인하세요."
    ),
    "This deletes the endpoint {name} from SageMaker; archives stay.": (
        "SageMaker에서 다음 엔드포인트를 삭제합니다. 아카이브는 남습니다: {name}"
    ),
    "Type its name: ": "이름을 입력하세요: ",
    "Nothing was changed.": "변경된 내용이 없습니다.",
    "That is not its name. Nothing was changed.": "이름이 다릅니다. 변경된 내용이 없습니다.",
    "The portal goes on with the teardown. See: mme endpoints {name}": (
        "포털에서 삭제를 계속합니다. 확인: mme endpoints {name}"
    ),
    "Write a variant as NAME=TYPE:COUNT:WEIGHT, not {text}.": (
        "변형은 NAME=TYPE:COUNT:WEIGHT 형식으로 쓰세요. 지정한 값: {text}."
    ),
    "Which of the endpoint's variants is to answer; by default SageMaker chooses.": (
        "응답할 엔드포인트 변형입니다. 기본값은 SageMaker가 선택합니다."
    ),
    "Of which of its variants; by default the first.": (
        "어느 변형의 지표인지 지정합니다. 기본값은 첫 번째 변형입니다."
    ),
    "Write a policy as canary:10%:300s, linear:20%:60s, rolling:50%:60s or all-at-once:300s.": (
        "정책은 canary:10%:300s, linear:20%:60s, rolling:50%:60s, all-at-once:300s처럼 쓰세요."
    ),
    "How the calls move: canary:10%:300s, linear:20%:60s, rolling:50%:60s.": (
        "호출을 옮기는 방법: canary:10%:300s, linear:20%:60s, rolling:50%:60s."
    ),
    "An alarm of CloudWatch that sends all calls back; several times for several.": (
        "모든 호출을 되돌리는 CloudWatch 경보입니다. 여러 개면 여러 번 지정하세요."
    ),
    "Write a weight as NAME=NUMBER, not {text}.": (
        "가중치는 NAME=NUMBER 형식으로 쓰세요. 지정한 값: {text}."
    ),
    "In place of type and count: all variants, two at most. COUNT and WEIGHT are 1 where "
    "they are left out.": (
        "유형과 개수 대신 모든 변형을 지정합니다. 최대 두 개이며 COUNT와 WEIGHT는 생략하면 1입니다."
    ),
    "Share the calls among its variants; no instance is started.": (
        "변형 사이에 호출을 나눕니다. 인스턴스는 시작되지 않습니다."
    ),
    "Who is not named keeps its weight; 9 and 1 are 90 % and 10 %.": (
        "지정하지 않은 변형은 가중치를 유지합니다. 9와 1은 90%와 10%입니다."
    ),
    "serving": "서비스 중",
    "refused": "거부됨",
    "replaced": "교체됨",
    "withdrawn": "철회됨",
    "rolled_back": "롤백됨",
    "revision": "리비전",
    "Change a living endpoint, and go back to what it was.": (
        "서비스 중인 엔드포인트를 변경하거나 이전 상태로 되돌립니다."
    ),
    "Make it again what it was in an earlier revision.": "이전 리비전의 상태로 되돌립니다.",
    "Give it an end date or idle hours; the portal tears it down then.": (
        "종료일이나 유휴 시간을 지정합니다. 그때 포털이 엔드포인트를 삭제합니다."
    ),
    "The portal tears it down after so many hours without a call; 0: never.": (
        "이 시간 동안 호출이 없으면 포털이 엔드포인트를 삭제합니다. 0이면 삭제하지 않습니다."
    ),
    "Give --undo alone.": "--undo만 단독으로 지정하세요.",
    "is deleted": "삭제",
    "The archives in {store} stay.": "{store}의 아카이브는 유지됩니다.",
    "Its configuration stays, and the model it needs.": ("구성과 구성에 필요한 모델을 남깁니다."),
    "Its SageMaker model stays.": "SageMaker 모델을 남깁니다.",
    "Show what is deleted and what stays; do nothing.": (
        "삭제할 것과 남길 것을 보여 주기만 합니다."
    ),
    "Undo a teardown that has not begun.": "아직 시작하지 않은 삭제를 취소합니다.",
    "Not the end date: it may be idle a day longer.": (
        "종료일이 아니라 유휴 상태로 둘 수 있는 시간을 하루 늘립니다."
    ),
    "ends idle": "유휴 시 종료",
    "idle until": "유휴 종료 시각",
    "after {hours} hours without a call": "호출 없이 {hours}시간 후",
    "no idle hours": "유휴 시간 없음",
    "ends {idle}": "종료: {idle}",
    "{told}, at {at} if nobody calls": "{told}, 호출이 없으면 {at}",
    "It has no end date; it is kept until a teardown.": (
        "종료일을 없앱니다. 직접 삭제할 때까지 유지됩니다."
    ),
    "Want what somebody changed or deleted outside the portal.": (
        "포털 밖에서 변경되거나 삭제된 상태를 그대로 받아들입니다."
    ),
    "Make it again as it is wanted, after it was changed outside.": (
        "포털 밖에서 변경된 엔드포인트를 원하는 상태로 되돌립니다."
    ),
    "Give it working hours, outside of which it is paused; or none.": (
        "근무 시간을 지정하거나 없앱니다. 그 밖의 시간에는 일시 중지 상태가 됩니다."
    ),
    "As 'mon-fri 08:00-19:00'.": "예: 'mon-fri 08:00-19:00'.",
    "Their time zone, as Asia/Seoul.": "시간대입니다. 예: Asia/Seoul.",
    "It works always.": "항상 실행합니다.",
    "Pause it now: no instance runs; its configuration stays.": (
        "지금 일시 중지합니다. 인스턴스는 중지되고 구성은 유지됩니다."
    ),
    "Resume it now: it is made again under its name.": (
        "지금 재개합니다. 같은 이름으로 다시 생성됩니다."
    ),
    "Keep it running two hours longer this once.": "이번 한 번만 두 시간 더 실행합니다.",
    "Give one of --hours and --clear.": "--hours와 --clear 중 하나만 지정하세요.",
    "The execution role of the containers; for admins.": (
        "컨테이너의 실행 역할입니다. 관리자만 지정할 수 있습니다."
    ),
    "Another store to serve; versions of the one before can be called no more.": (
        "서빙할 다른 저장소입니다. 이전 저장소의 버전은 더 이상 호출할 수 없습니다."
    ),
    "differs": "달라진 점",
    "took": "소요 시간",
    "From where it was asked for: page, api, mme.": "요청한 경로입니다: page, api, mme.",
    "calls today": "오늘 호출",
    "under way": "진행 중",
    "{calls}, {share} % cold": "{calls}, 콜드 {share} %",
    "(usually takes {minutes} min)": "(보통 {minutes}분 걸림)",
    "Say the time zone of the times: --zone Asia/Seoul.": (
        "시각의 시간대를 지정하세요: --zone Asia/Seoul."
    ),
    "{text} is no --at. Write it as 'mon-fri 08:00=2-4': a time, the fewest, the most.": (
        "{text}: --at 형식이 아닙니다. 시각, 최소, 최대를 'mon-fri 08:00=2-4'처럼 쓰세요."
    ),
    "Other limits from a time of the week on, as 'mon-fri 08:00=2-4'.": (
        "주중 어느 시각부터 적용할 다른 범위입니다. 예: 'mon-fri 08:00=2-4'."
    ),
    "Say the time zone of the hours: --zone Asia/Seoul.": (
        "근무 시간의 시간대를 지정하세요: --zone Asia/Seoul."
    ),
    "no working hours": "근무 시간 없음",
    "working hours": "근무 시간",
    "pauses": "일시 중지",
    "resumes": "재개",
    "pauses {at}": "일시 중지 {at}",
    "resumes {at}": "재개 {at}",
    "paused": "일시 중지됨",
    "accepted from outside": "외부 변경을 수락함",
    "deleted_outside": "외부에서 삭제됨",
    "Move its end date a day later, or let it be idle for a day longer.": (
        "종료일을 하루 뒤로 미루거나 유휴 상태로 하루 더 둡니다."
    ),
    "Have AWS change its number of instances with the calls; or no more.": (
        "호출 수에 따라 AWS가 인스턴스 수를 바꾸게 하거나, 더 이상 바꾸지 않게 합니다."
    ),
    "The fewest instances.": "최소 인스턴스 수입니다.",
    "The most instances.": "최대 인스턴스 수입니다.",
    "Calls a minute that each instance is to have.": (
        "인스턴스 하나가 1분 동안 처리할 호출 수입니다."
    ),
    "Pause after fewer instances; by default 300.": (
        "인스턴스를 줄인 뒤 쉬는 시간(초)입니다. 기본값은 300입니다."
    ),
    "Pause after more instances; by default 300.": (
        "인스턴스를 늘린 뒤 쉬는 시간(초)입니다. 기본값은 300입니다."
    ),
    "Switch it off; the number of instances stays.": (
        "오토스케일링을 끕니다. 인스턴스 수는 그대로 유지됩니다."
    ),
    "Wait until it is so.": "적용될 때까지 기다립니다.",
    "Give --off alone.": "--off는 다른 옵션 없이 사용하세요.",
    "Say how it is scaled: --min, --max and --target; or --off.": (
        "어떻게 조정할지 --min, --max, --target으로 지정하거나 --off를 사용하세요."
    ),
    "autoscaling": "오토스케일링",
    "autoscaling off": "오토스케일링 꺼짐",
    "at most": "최대",
    "{least} to {most} instances, for {target} calls a minute each": (
        "인스턴스 {least}~{most}개, 인스턴스당 1분에 {target}회 호출"
    ),
    "Say when it ends: --at WHEN, --never, or --idle HOURS.": (
        "언제 종료할지 지정하세요: --at WHEN, --never 또는 --idle HOURS."
    ),
    "Whether its models take turns in memory, and what would help.": (
        "모델들이 메모리를 번갈아 쓰는지, 무엇이 도움이 되는지 표시합니다."
    ),
    "Based on {calls} calls, {since} to {until}.": "호출 {calls}건 기준입니다({since} ~ {until}).",
    "loaded again": "다시 로드",
    "Load models before somebody waits for them; or keep them warm.": (
        "누가 기다리기 전에 모델을 로드합니다. 또는 계속 웜 상태로 유지합니다."
    ),
    "@* (what aliases point at), *, digits:*, digits@live; commas between.": (
        "@*(별칭이 가리키는 버전), *, digits:*, digits@live 형식이며, 쉼표로 구분합니다."
    ),
    "Keep them warm: 10m, 2h or 1d between.": (
        "10m, 2h, 1d와 같은 간격으로 계속 웜 상태로 유지합니다."
    ),
    "Warm them after each deploy and change.": "배포하거나 변경할 때마다 로드합니다.",
    "Keep nothing warm any more.": "더 이상 웜 상태로 유지하지 않습니다.",
    "Say what is kept warm, and warmed lately.": (
        "웜 상태로 유지하는 모델과 최근에 로드한 모델을 표시합니다."
    ),
    "Call no further version of what is being warmed.": (
        "로드 중인 작업에서 다음 버전을 호출하지 않습니다."
    ),
    "Wait until all are warmed.": "모두 로드될 때까지 기다립니다.",
    "Give one of --every or --after-change, --off, --show, --stop, --wait.": (
        "--every 또는 --after-change, --off, --show, --stop, --wait 중 하나만 지정하세요."
    ),
    "{every!r} is no time. Give 10m, 2h or 1d.": (
        "시간이 아닙니다: {every!r}. 10m, 2h, 1d와 같이 지정하세요."
    ),
    "{done} of {all} versions": "버전 {all}개 중 {done}개",
    "The portal goes on with it. See: mme endpoint warm {name} --show": (
        "포털이 계속합니다. 참고: mme endpoint warm {name} --show"
    ),
    "loaded": "로드됨",
    "was warm": "이미 웜",
    "{models} on {name}: {state}, {done} of {all} versions": (
        "{name}의 {models}: {state}, 버전 {all}개 중 {done}개"
    ),
    "Nothing is kept warm.": "웜 상태로 유지하는 모델이 없습니다.",
    "every {minutes} min, {calls} calls a day": "{minutes}분마다, 하루 호출 {calls}건",
    "after each deploy and change": "배포하거나 변경할 때마다",
    "Which instances would hold models under calls, at which cost.": (
        "어떤 인스턴스가 얼마의 비용으로 모델을 담을 수 있는지 계산합니다."
    ),
    "*, digits:*, digits:1, digits@live; commas between.": (
        "*, digits:*, digits:1, digits@live 형식이며, 쉼표로 구분합니다."
    ),
    "How many calls an hour.": "시간당 호출 수입니다.",
    "As recorded on this endpoint lately, in place of the draw.": (
        "추출 대신 이 엔드포인트에 최근 기록된 호출을 따릅니다."
    ),
    "So many calls may wait, in percent.": "기다려도 되는 호출의 비율(%)입니다.",
    "At most so many instances.": "최대 인스턴스 수입니다.",
    "{count} versions take {needed} MB together, as their validations measured.": (
        "버전 {count}개에는 검증에서 측정한 값으로 모두 {needed} MB 필요합니다."
    ),
    "calls that wait": "기다리는 호출",
    "an hour": "시간당",
    "busy": "사용률",
    "does not fit": "들어가지 않음",
    "recommended": "권장",
    "None has what is wanted: allow more instances, or name fewer models.": (
        "조건에 맞는 구성이 없습니다. 인스턴스를 더 허용하거나 모델 수를 줄이세요."
    ),
    "Give one of --at and --never.": "--at과 --never 중 하나만 지정하세요.",
    "ends": "종료일",
    "ends {at}": "종료일 {at}",
    "no end date": "종료일 없음",
    "What it was asked to be, and what came of it.": "요청된 상태와 그 결과를 표시합니다.",
    "The instance type.": "인스턴스 유형입니다.",
    "The container image; for admins.": "컨테이너 이미지입니다. 관리자만 바꿀 수 있습니다.",
    "Why; the history keeps it.": "이유입니다. 기록에 남습니다.",
    "Wait until it serves so; 1 where it was rolled back.": (
        "변경된 상태로 서비스될 때까지 기다립니다. 롤백되면 종료 코드는 1입니다."
    ),
    "Which, as mme endpoint revisions has it.": "mme endpoint revisions에 표시되는 번호입니다.",
    "Say which endpoint to wait for.": "기다릴 엔드포인트를 지정하세요.",
    "endpoint": "엔드포인트",
    "instances": "인스턴스",
    "created": "생성됨",
    "requested": "요청됨",
    "waiting": "대기 중",
    "creating": "생성 중",
    "in_service": "서비스 중",
    "updating": "업데이트 중",
    "system_updating": "시스템 업데이트 중",
    "rolling_back": "롤백 중",
    "update_rollback_failed": "업데이트 롤백 실패",
    "out_of_service": "서비스 중지됨",
    "deleting": "삭제 중",
    "failed": "실패",
    "kept": "그대로 둠",
    "config": "구성",
    "failure": "실패",
    "hint": "안내",
    "image": "이미지",
    "checked": "확인",
    "gone": "삭제됨",
    # --- planning.py ---
    "Only print the calls that it would make in AWS, and the cost; with -q as Python.": (
        "실행하지 않고 AWS API 호출과 예상 비용만 출력합니다. -q를 함께 쓰면 Python 코드로 "
        "출력합니다."
    ),
    "Give one of --csv and --json.": "--csv와 --json 중 하나만 지정하세요.",
    "Give one of --plan and --wait.": "--plan과 --wait 중 하나만 지정하세요.",
    "costs": "비용",
    "changes": "변경",
    "stays": "유지",
    "meanwhile": "그동안",
    "calls": "호출",
    "{cost} (before: {before})": "{cost} (이전: {before})",
    "the price is not known": "가격을 알 수 없음",
    "{hour} {currency} an hour, {month} {currency} a month": (
        "시간당 {hour} {currency}, 월 {month} {currency}"
    ),
    "{action} (afterwards)": "{action} (완료 후)",
    # --- moments.py ---
    "{when!r} is no time. Give one such as 2026-12-24T18:00 on your clock, "
    "2026-12-24T18:00+09:00, 2026-12-24 (00:00 of that day), or from now 90m, 8h or 3d.": (
        "시각이 아닙니다: {when!r}. 현지 시각 2026-12-24T18:00, 2026-12-24T18:00+09:00, "
        "2026-12-24(그날 00:00) 또는 지금부터의 기간 90m, 8h, 3d처럼 지정하세요."
    ),
    # --- main.py, running.py, terminal.py ---
    "Wrong use: {sentence}": "잘못된 사용: {sentence}",
    "Request {id}; mme {version}": "요청 {id}, mme {version}",
    "The time that --timeout gives is over. {why}": "--timeout 시간이 지났습니다. {why}",
    "No answer of a portal. {why}": "포털이 응답하지 않습니다. {why}",
    "Does the portal run, and is its address right? Another one: mme login, MME_URL.": (
        "포털이 실행 중인지, 주소가 맞는지 확인하세요. 다른 주소 지정: mme login, MME_URL."
    ),
    "Say which portal: mme login URL, or set MME_URL and MME_TOKEN.": (
        "포털을 지정하세요. mme login URL을 실행하거나 MME_URL과 MME_TOKEN을 설정하세요."
    ),
    "Warning: mme is {own}, the portal is {portal}. Install the client of the portal's release.": (
        "경고: mme 버전은 {own}, 포털 버전은 {portal}입니다. 포털 릴리스의 클라이언트를 설치하세요."
    ),
    # --- account.py ---
    "A token in the command line is seen by others on this machine: "
    "give it on standard input, with --token -.": (
        "명령줄의 토큰은 이 컴퓨터의 다른 사용자가 볼 수 있습니다. --token - 옵션을 사용하여 표준 "
        "입력으로 전달하세요."
    ),
    "Say which portal: mme login URL.": "포털을 지정하세요: mme login URL",
    "Warning: the address is not https, so the token can be read on its way.": (
        "경고: 주소가 https가 아니므로 전송 중에 토큰이 노출될 수 있습니다."
    ),
    "No token was given. Nothing was kept.": (
        "토큰이 입력되지 않았습니다. 저장된 내용이 없습니다."
    ),
    "Standard input is no terminal: give the token with --token -.": (
        "표준 입력이 터미널이 아닙니다. --token - 옵션으로 토큰을 전달하세요."
    ),
    "Make a token on this page, and paste it here: {page}": (
        "이 페이지에서 토큰을 만들어 여기에 붙여 넣으세요: {page}"
    ),
    "Token: ": "토큰: ",
    "Kept in {path}.": "저장 위치: {path}",
    "{name} at {url}": "{name}, {url}",
    "none": "없음",
    "name": "이름",
    "role": "역할",
    "scopes": "범위(scope)",
    "portal": "포털",
    "token": "토큰",
    "{name}, until {at}": "{name}, 만료 {at}",
    "where": "위치",
    "region": "리전",
    "store": "저장소",
    "worker": "워커(worker)",
    "part": "구성 요소",
    "state": "상태",
    "what was found": "확인 결과",
    "not reached": "연결되지 않음",
    "portal {version} at {url}": "포털 {version}, {url}",
    "It is shown this once. It is {id}, and counts until {at}.": (
        "이번 한 번만 표시됩니다. ID: {id}, 만료: {at}"
    ),
    "id": "ID",
    "until": "만료",
    "last used": "마지막 사용",
    "Several tokens are called {name}: name its id.": (
        "이름이 같은 토큰이 여러 개 있습니다: {name}. ID를 지정하세요."
    ),
    "Revoked: {name}": "폐기됨: {name}",
    "valid": "유효",
    "expired": "만료됨",
    "revoked": "폐기됨",
    # --- calling.py ---
    "Print a CSV file, with where the time of each went.": (
        "각 호출의 시간 내역을 포함한 CSV 파일을 출력합니다."
    ),
    "where the time went (on average)": "시간 내역(평균)",
    "fetching": "아카이브 가져오기",
    "fetching the archive, about": "아카이브 가져오기(약)",
    "where the time went: {parts}": "시간 내역: {parts}",
    "waiting for the model": "모델 대기",
    "network and SageMaker": "네트워크와 SageMaker",
    "decoding": "디코딩",
    "inference": "추론",
    "unloaded to make room for it ({count}): {names}": (
        "이 모델의 자리를 만들려고 언로드함({count}): {names}"
    ),
    "A call that has begun goes on in the portal; its answer is on the page Calls.": (
        "시작된 호출은 포털에서 계속됩니다. 응답은 호출 페이지에서 볼 수 있습니다."
    ),
    "Choose one of --raw and --json.": "--raw와 --json 중 하나를 선택하세요.",
    "Standard input can be one picture.": "표준 입력은 사진 하나에만 사용할 수 있습니다.",
    "cold start": "콜드 스타트",
    "warm": "웜",
    "standard input": "표준 입력",
    "MODEL is missing, or --models. See: mme invoke --help": (
        "MODEL 또는 --models가 필요합니다. 확인: mme invoke --help"
    ),
    "PICTURE is missing. See: mme invoke --help": "PICTURE가 필요합니다. 확인: mme invoke --help",
    "--raw and --target do not go with --models, --csv or --truth.": (
        "--raw와 --target은 --models, --csv, --truth와 함께 사용할 수 없습니다."
    ),
    "Comparisons of answers: list, look at, stop, delete them.": (
        "응답 비교를 나열, 확인, 중지, 삭제합니다."
    ),
    "One comparison: its answers, how many are right, and are the same.": (
        "비교 하나의 응답, 정답 수, 같은 응답 수를 표시합니다."
    ),
    "Print a CSV file: a line for each picture.": "CSV 파일을 출력합니다. 사진마다 한 줄입니다.",
    "Right labels (rows) and answers of {name} (columns)": (
        "올바른 레이블(행)과 {name}의 응답(열)"
    ),
    "{name} took {label} for {answered}: {count}": (
        "{name}: 올바른 레이블 {label}, 응답 {answered}: {count}"
    ),
    "Send no more pictures; the answers that are there stay.": (
        "사진을 더 보내지 않습니다. 받은 응답은 남습니다."
    ),
    "As mme comparisons says it.": "mme comparisons가 출력하는 ID입니다.",
    "As mme comparisons says them.": "mme comparisons가 출력하는 ID입니다.",
    "Delete comparisons of answers; their calls stay.": (
        "응답 비교를 삭제합니다. 호출 기록은 남습니다."
    ),
    "For --answers: all, test-set, samples, or a folder of your own pictures.": (
        "--answers와 함께 사용합니다. all, test-set, samples 또는 사진 폴더입니다."
    ),
    "pictures": "사진",
    "For --answers: call this version alone.": (
        "--answers와 함께 사용합니다. 이 버전만 호출합니다."
    ),
    "Give one version with --alone.": "--alone에는 버전 하나만 지정하세요.",
    "--truth goes with a folder of pictures: --pictures FOLDER.": (
        "--truth는 사진 폴더(--pictures FOLDER)와 함께 사용합니다."
    ),
    "{done} of {all} pictures sent": "사진 {done}/{all}장 전송됨",
    "--pictures is one of: {names}, or a folder.": (
        "--pictures에 지정할 수 있는 값: {names} 또는 폴더"
    ),
    "There is no picture in {folder}.": "폴더에 사진이 없습니다: {folder}",
    "{folder} has {count} pictures; at most {most} are sent.": (
        "{folder}: 사진 {count}장. 보낼 수 있는 최대 수는 {most}장입니다."
    ),
    "{state}: {done} of {all} pictures were sent.": "{state}: 사진 {done}/{all}장을 보냈습니다.",
    "Deleted: {id}. The calls stay.": "삭제했습니다: {id}. 호출 기록은 남습니다.",
    # --- many.py ---
    "Up to six versions or aliases, as digits:1,digits@live: each is called with each picture.": (
        "digits:1,digits@live처럼 버전이나 별칭을 여섯 개까지 지정합니다. 사진마다 모두 호출합니다."
    ),
    "Print a CSV file: a line for each answer.": "응답마다 한 줄인 CSV 파일을 출력합니다.",
    "A CSV file of names and right labels; or folder: a picture's folder is its label.": (
        "이름과 정답 레이블의 CSV 파일입니다. folder를 지정하면 사진의 폴더 이름이 정답입니다."
    ),
    "How many labels to print: 5, and 1 where there are several versions.": (
        "출력할 레이블 수입니다. 기본값은 5, 버전이 여러 개이면 1입니다."
    ),
    "Name versions with --models, as digits:1,digits:2.": (
        "digits:1,digits:2처럼 --models로 버전을 지정하세요."
    ),
    "--models takes at most {most} versions.": "--models로 지정할 수 있는 최대 버전 수: {most}",
    "Named twice: {names}": "두 번 지정했습니다: {names}",
    "{file}: {why} --truth takes a CSV file, or the word folder.": (
        "{file}: {why} --truth에는 CSV 파일 또는 folder라는 단어를 지정합니다."
    ),
    "{file}, line {line}: this is no CSV: {why}.": "CSV 형식이 아닙니다: {file}, {line}행({why})",
    "{file}, line {line}: a line has a name and a label.": (
        "{file}, {line}행: 각 행에는 이름과 레이블이 있어야 합니다."
    ),
    "{file}: {name} has two labels.": "{file}: 레이블이 두 개입니다. 이름: {name}",
    "right": "정답",
    "wrong": "오답",
    "{name}: {right} of {all} right ({share}), p50 {p50}": (
        "{name}: 정답 {right}/{all}({share}), p50 {p50}"
    ),
    "{name}: no right label is known, p50 {p50}": "{name}: 정답을 알 수 없음, p50 {p50}",
    "{name}: p50 {p50}": "{name}: p50 {p50}",
    # --- copying.py ---
    "Copy a version under other names, within the store; done when all are ready.": (
        "저장소 안에서 버전을 다른 이름으로 복사합니다. 모두 준비되면 끝납니다."
    ),
    "Where to, below the store's prefix, without .tar.gz; {n} is 1, 2, 3, and the last part the "
    "model's name.": (
        "저장소 접두사 아래의 위치이며 .tar.gz는 쓰지 않습니다. {n}: 1, 2, 3. 마지막 부분이 모델 "
        "이름입니다."
    ),
    "How many copies.": "복사본 수입니다.",
    "Show names, keys and conflicts; make nothing.": (
        "이름, 키, 충돌을 표시하고 아무것도 만들지 않습니다."
    ),
    "The portal goes on with it. See: mme show {name}": (
        "포털이 작업을 계속합니다. 확인: mme show {name}"
    ),
    "{number} of {all}: {name}": "{number}/{all}: {name}",
    "target": "대상",
    "in its way": "충돌",
    "is being copied": "복사하는 중",
    "copy of": "복사 원본",
    "in the store": "저장소 상태",
    "missing": "없음",
    "another object than was published": "게시된 것과 다른 객체",
    # --- importing.py ---
    "Validate and register what lies in the store already and the portal does not know.": (
        "저장소에 이미 있지만 포털이 모르는 아카이브를 검증하고 등록합니다."
    ),
    "Keys below the store's prefix; by default all that can be imported.": (
        "저장소 접두사 아래의 키입니다. 지정하지 않으면 가져올 수 있는 모든 키를 가져옵니다."
    ),
    "Show what was found, and why what cannot be imported; change nothing.": (
        "찾은 객체와 가져올 수 없는 이유를 표시하고 아무것도 변경하지 않습니다."
    ),
    "Wait until all are validated.": "모두 검증될 때까지 기다립니다.",
    "Make a canonical copy of an archive that was refused as it was found.": (
        "찾은 그대로는 거부된 아카이브의 표준 복사본을 만듭니다."
    ),
    "There is nothing to import.": "가져올 것이 없습니다.",
    "key": "키",
    "written": "작성 시각",
    "why not": "가져올 수 없는 이유",
    # --- retiring.py ---
    "Offer and call a version nowhere any more; its archive stays.": (
        "버전을 더 이상 표시하거나 호출하지 않습니다. 아카이브는 남습니다."
    ),
    "As digits:2.": "digits:2처럼 씁니다.",
    "Make a retired version ready again.": "사용 중지한 버전을 다시 사용할 수 있게 합니다.",
    "Delete the archive of a version; its record and checksums stay.": (
        "버전의 아카이브를 삭제합니다. 기록과 체크섬은 남습니다."
    ),
    "Standard input is no terminal: confirm the deletion with --yes.": (
        "표준 입력이 터미널이 아닙니다. --yes로 삭제를 확인하세요."
    ),
    "This deletes the archive of {name}; its record stays.": (
        "다음 버전의 아카이브를 삭제합니다: {name}. 기록은 남습니다."
    ),
    "The portal goes on with the deletion. See: mme show {name}": (
        "포털이 삭제를 계속합니다. 확인: mme show {name}"
    ),
    "Write the version as digits:2.": "버전은 digits:2처럼 쓰세요.",
    "retired": "사용 중지됨",
    "is being deleted": "삭제하는 중",
    "deleted": "삭제됨",
    # --- naming.py ---
    "Point an alias of a model at a version, or look where it points.": (
        "모델의 별칭이 버전을 가리키게 하거나, 지금 가리키는 버전을 표시합니다."
    ),
    "digits@production; digits alone lists its aliases.": (
        "digits@production처럼 씁니다. digits만 쓰면 별칭을 나열합니다."
    ),
    "The version.": "버전입니다.",
    "Why; a protected alias takes one.": "이유입니다. 보호된 별칭에는 필요합니다.",
    "Only where it points at this version now.": "지금 이 버전을 가리킬 때만 변경합니다.",
    "Point it at the version before.": "이전 버전을 가리키게 합니다.",
    "Delete it; its history stays.": "별칭을 삭제합니다. 기록은 남습니다.",
    "What was done with it, by whom and why.": "누가 왜 무엇을 했는지 표시합니다.",
    "digits:2, digits@production, or digits: its live version, else the newest. "
    "None with --models.": (
        "digits:2, digits@production 또는 digits(라이브 버전, 없으면 최신 버전)입니다. "
        "--models와 함께 지정하지 않습니다."
    ),
    "Give one of NUMBER, --rollback, --remove and --history.": (
        "NUMBER, --rollback, --remove, --history 중 하나만 지정하세요."
    ),
    "--reason and --if-now are for changes.": ("--reason과 --if-now는 변경할 때만 사용합니다."),
    "Write the alias as digits@production.": "별칭은 digits@production처럼 쓰세요.",
    "{name} is deleted.": "삭제했습니다: {name}",
    "{name} is version {number} now, not {wanted}. Nothing was changed.": (
        "{name}: 지금 버전은 {number}입니다(요청: {wanted}). 변경된 것은 없습니다."
    ),
    "{name} is {version}, since {at}, by {who}": ("{name} → {version} ({at}부터, {who})"),
    "alias": "별칭",
    "since": "시작",
    "when": "시각",
    "what": "내용",
    "before": "이전",
    # --- uploading.py ---
    "Your uploads that are not complete.": "완료되지 않은 내 업로드를 표시합니다.",
    "Forget uploads, and delete what has arrived of them.": (
        "업로드를 취소하고 도착한 부분을 삭제합니다."
    ),
    "As mme uploads says them.": "mme uploads가 표시하는 ID입니다.",
    "arrived": "도착",
    "begun": "시작",
    "problem": "문제",
    "{sent} of {all}": "{sent} / {all}",
    "Cancelled: {name}. Nothing of it is kept.": "취소했습니다: {name}. 보관된 것은 없습니다.",
    # --- telling.py ---
    "Tell other programs what happens, and see what they answered; for admins.": (
        "포털에서 일어난 일을 다른 프로그램에 알리고 응답을 확인합니다. 관리자용입니다."
    ),
    "Its id.": "ID입니다.",
    "What to tell, as mme webhook kinds has it; several.": (
        "알릴 종류입니다. mme webhook kinds로 확인하세요. 여러 번 지정할 수 있습니다."
    ),
    "Only of this model; several.": "이 모델만 알립니다. 여러 번 지정할 수 있습니다.",
    "Of its sentences: en or ko.": "문장의 언어입니다. en 또는 ko입니다.",
    "The webhooks.": "웹후크를 나열합니다.",
    "What webhooks can be told of.": "웹후크로 알릴 수 있는 종류를 나열합니다.",
    "Make a webhook, and print its secret: it is shown this once.": (
        "웹후크를 만들고 비밀 값를 출력합니다. 비밀 값는 이번 한 번만 표시됩니다."
    ),
    "Where to send the messages.": "메시지를 보낼 주소입니다.",
    "Change a webhook, pause or resume it.": (
        "웹후크를 변경하거나, 일시 중지하거나, 다시 시작합니다."
    ),
    "What to tell from now on; several.": "앞으로 알릴 종류입니다. 여러 번 지정할 수 있습니다.",
    "Tell it nothing for now.": "당분간 아무것도 알리지 않습니다.",
    "Tell it again.": "다시 알립니다.",
    "Send a test now, and print what the receiver answered.": (
        "지금 테스트를 보내고 수신자의 응답을 출력합니다."
    ),
    "What was sent to a webhook, and what is on its way.": (
        "웹후크로 보낸 메시지와 보내는 중인 메시지를 나열합니다."
    ),
    "Only these: pending, delivered or failed.": (
        "이 상태만 나열합니다. pending, delivered, failed 중 하나입니다."
    ),
    "Only of this kind.": "이 종류만 나열합니다.",
    "Send messages again, with the same ids.": "같은 ID로 메시지를 다시 보냅니다.",
    "The message's webhook-id.": "메시지의 webhook-id입니다.",
    "All that failed.": "실패한 메시지 모두입니다.",
    "Make a new secret, and print it; the old one counts for a day more.": (
        "새 비밀 값를 만들어 출력합니다. 이전 비밀 값는 하루 더 유효합니다."
    ),
    "The old secret no longer counts.": "이전 비밀 값를 바로 무효화합니다.",
    "Remove a webhook, with its deliveries.": "웹후크와 전송 기록을 제거합니다.",
    "address": "주소",
    "kinds": "종류",
    "models": "모델",
    "all": "모두",
    "paused: it failed for a day": "일시 중지됨(하루 동안 실패)",
    "failing since {at}": "{at}부터 실패 중",
    "active": "활성",
    "kind": "종류",
    "what it is": "설명",
    "Try it: mme webhook test {id}": "테스트: mme webhook test {id}",
    "It is the secret of {id}, and is shown this once. Give it to the receiver.": (
        "{id}의 비밀 값이며 이번 한 번만 표시됩니다. 수신자에게 전달하세요."
    ),
    "The old secret counts until {at}.": "이전 비밀 값는 {at}까지 유효합니다.",
    "Give one of --pause and --resume.": "--pause와 --resume 중 하나만 지정하세요.",
    "Say what to change, as --kind or --pause.": "--kind나 --pause처럼 변경할 내용을 지정하세요.",
    "answer": "응답",
    "on its way": "보내는 중",
    "delivered": "전송됨",
    "tries": "시도",
    "Give a message, or --failed.": "메시지 또는 --failed를 지정하세요.",
    "See: mme webhook deliveries {id}": "확인: mme webhook deliveries {id}",
    "Removed: {name}": "제거했습니다: {name}",
    "What you are told of by mail, or another choice.": (
        "메일로 받는 알림을 표시하거나 변경합니다."
    ),
    "Tell me of this; several.": "메일로 받을 종류입니다. 여러 번 지정할 수 있습니다.",
    "Send me no mails.": "메일을 받지 않습니다.",
    "Also of what is not my own; with --kind.": (
        "내 것이 아닌 것도 알립니다. --kind와 함께 사용합니다."
    ),
    "Give --kind or --none.": "--kind나 --none 중 하나만 지정하세요.",
    "Say with --kind of what.": "--kind로 종류를 지정하세요.",
    "of": "대상",
    "your own": "내 것",
    "everybody's": "모든 사람의 것",
    "offered": "선택할 수 있는 종류",
    "This portal has no mail server, so it sends no mails.": (
        "이 포털에는 메일 서버가 없어 메일을 보내지 않습니다."
    ),
    "Your account has no mail address: an admin can add it.": (
        "계정에 메일 주소가 없습니다. 관리자가 추가할 수 있습니다."
    ),
    "What the archives take up in the store, and the quotas.": (
        "아카이브가 저장소에서 차지하는 용량과 할당량을 표시합니다."
    ),
    "Whose quota to set; for admins.": "할당량을 설정할 사용자입니다. 관리자만 사용할 수 있습니다.",
    "Gigabytes; none: no limit; usual: the usual quota.": (
        "기가바이트 수입니다. none은 제한 없음, usual은 기본 할당량입니다."
    ),
    "Give --person and --quota together.": "--person과 --quota를 함께 지정하세요.",
    "Write --quota as a whole number of gigabytes, none or usual.": (
        "--quota에 정수(기가바이트), none 또는 usual을 지정하세요."
    ),
    "person": "사용자",
    "taken up": "사용량",
    "quota": "할당량",
    "no limit": "제한 없음",
    "all archives": "전체 아카이브",
    # --- observing.py ---
    "What is measured of an endpoint: calls, errors, latency, cold starts, instances.": (
        "엔드포인트의 측정값: 호출, 오류, 지연 시간, 콜드 스타트, 인스턴스."
    ),
    "How far back.": "얼마나 과거까지 볼지 지정합니다.",
    "Print a line for each time, as CSV.": "시간마다 한 줄씩 CSV로 출력합니다.",
    "Give one of --json and --csv.": "--json과 --csv 중 하나만 지정하세요.",
    "{since} to {until}, in bins of {minutes} min": "{since} ~ {until}, {minutes}분 간격",
    "all calls, by SageMaker": "모든 호출(SageMaker 측정)",
    "calls by the portal": "포털의 호출",
    "all calls, as the containers counted them since {since}": (
        "모든 호출({since}부터 컨테이너가 집계)"
    ),
    "all calls, as the containers count them": "모든 호출(컨테이너 집계)",
    "The page of {instance} could not be read; its calls are not counted.": (
        "{instance}: 페이지를 읽을 수 없어 해당 호출은 집계되지 않았습니다."
    ),
    "They have loaded no model yet.": "아직 로드한 모델이 없습니다.",
    "by the portal": "포털",
    "errors": "오류",
    "evictions": "제거",
    "Not called since: {names}": "그 이후 호출되지 않음: {names}",
    "(others)": "(기타)",
    "least recently used in memory: {model}, {when}": (
        "메모리에서 가장 오래 사용되지 않은 모델: {model}, {when}"
    ),
    "not called for {age} on average when unloaded to make room": (
        "자리를 만들려고 언로드할 때 호출되지 않은 시간(평균): {age}"
    ),
    "Nothing was measured in this time.": "이 시간 동안 측정된 값이 없습니다.",
    "p50, p90 and p99 are those of the slowest hour of each bin.": (
        "p50, p90, p99는 각 구간에서 가장 느린 한 시간의 값입니다."
    ),
    "metric": "지표",
    "bins": "시간별 값",
    "highest": "최고",
    "last": "마지막",
    "cold": "콜드",
    "p50": "p50",
    "p99": "p99",
    "never": "없음",
    "Call versions many times, and count what comes of it.": (
        "버전을 여러 번 호출하고 결과를 집계합니다."
    ),
    "digits:* (all ready versions), digits:1, digits@live, target models below a prefix "
    "(demo-subfolder/*), or several with commas between.": (
        "digits:*(준비된 모든 버전), digits:1, digits@live, 접두사 아래의 대상 "
        "모델(demo-subfolder/*)이며, 쉼표로 여러 개를 지정할 수 있습니다."
    ),
    "How many calls.": "호출의 수입니다.",
    "So many calls are under way at a time; 8 without a rate.": (
        "동시에 진행하는 호출의 수입니다. 속도가 없으면 8입니다."
    ),
    "Calls a second; the latency counts from the planned moment (open loop).": (
        "초당 호출의 수입니다. 지연 시간을 계획한 시점부터 계산합니다(개방 루프)."
    ),
    "uniform, or zipf:1.1: what is named first is called most.": (
        "uniform 또는 zipf:1.1입니다. zipf는 먼저 지정한 것을 가장 많이 호출합니다."
    ),
    "The same seed draws the same calls.": "같은 시드는 같은 호출을 추출합니다.",
    "uniform; zipf:1.1: what is named first is called most; or day:2026-11-27: as the "
    "endpoint was called on that day (UTC).": (
        "uniform, zipf:1.1(먼저 지정한 대상을 가장 많이 호출) 또는 day:2026-11-27(엔드포인트가 "
        "그날(UTC) 호출된 대로)."
    ),
    "Further pictures of your own, after that of --pictures.": (
        "--pictures에 이어 보낼 내 사진입니다."
    ),
    "{file} is no file; --pictures takes files, folders, or one of: {names}.": (
        "{file}: 파일이 아닙니다. --pictures에는 파일, 폴더 또는 다음 중 하나를 지정합니다: "
        "{names}."
    ),
    "samples, test-set, kept (of calls of the last day), or files or folders.": (
        "samples, test-set, kept(지난 하루의 호출에서 보낸 사진) 또는 파일이나 폴더입니다."
    ),
    "A name for it.": "실험의 이름입니다.",
    "Only say what it would call; nothing is called.": (
        "호출할 내용만 표시하고 아무것도 호출하지 않습니다."
    ),
    "Wait until it has ended.": "끝날 때까지 기다립니다.",
    "The experiments, or one: look at it, name it, stop it.": (
        "실험을 나열하거나, 하나를 보고, 이름을 바꾸고, 중지합니다."
    ),
    "Its id; by default all are listed.": "실험의 ID입니다. 기본값은 모두 나열하는 것입니다.",
    "Only those on this one.": "이 엔드포인트의 실험만 나열합니다.",
    "Give it this name.": "이 이름을 지정합니다.",
    "Begin no further call; what was made is kept.": (
        "새 호출을 시작하지 않습니다. 끝난 호출의 결과는 유지합니다."
    ),
    "Print a CSV file: a line for each target.": "대상마다 한 줄인 CSV 파일을 출력합니다.",
    "{done} of {all} calls, {rate} a second": "호출 {done}/{all}, 초당 {rate}",
    "Say which experiment: its id, as `mme experiments` lists it.": (
        "어느 실험인지 `mme experiments`에 표시되는 ID로 지정하세요."
    ),
    "began": "시작",
    "why": "이유",
    "succeeded": "성공",
    "unknown": "알 수 없음",
    "calls a second": "초당 호출",
    "latency": "지연 시간",
    "loads": "로드",
    "share of cold calls": "콜드 호출 비율",
    "Print its figures beside those of this one: an id or a name.": (
        "다른 실험(ID 또는 이름)의 수치를 나란히 출력합니다."
    ),
    "--beside does not go with --stop, --name, --csv or --wait.": (
        "--beside는 --stop, --name, --csv, --wait와 함께 사용할 수 없습니다."
    ),
    "loaded when, over {seconds} s": "로드된 시점(전체 {seconds}초)",
    "labels": "레이블",
    "Failed with {code}: {count}": "{code} 오류로 실패: {count}",
    "About {seconds} s.": "약 {seconds}초.",
    "The instances cost {hour} {currency} an hour, {now} {currency} in that time.": (
        "인스턴스 비용은 시간당 {hour} {currency}, 이 실험 동안 {now} {currency}"
    ),
    "Other versions that may be put out of memory for them: {count}": (
        "이 때문에 메모리에서 내려갈 수 있는 다른 버전: {count}"
    ),
    "Nothing was called.": "아무것도 호출하지 않았습니다.",
    "Take a text out of notes, labels, calls and events, for good.": (
        "메모, 레이블, 호출, 이벤트에서 텍스트를 완전히 지웁니다."
    ),
    "Or - for a line of standard input, which no history keeps.": (
        "-이면 표준 입력에서 한 줄을 읽으며, 셸 기록에 남지 않습니다."
    ),
    "Do not ask.": "묻지 않습니다.",
    "Only say where it is.": "어디에 있는지만 표시합니다.",
    "Standard input is no terminal: confirm with --yes, or give --find.": (
        "표준 입력이 터미널이 아닙니다. --yes로 확인하거나 --find를 지정하세요."
    ),
    "It is replaced for good. Archives and pictures in the store stay.": (
        "되돌릴 수 없게 바꿉니다. 저장소의 아카이브와 사진은 그대로 둡니다."
    ),
    "Type {word}: ": "입력하세요({word}): ",
    "That is not the word. Nothing was changed.": "단어가 다릅니다. 변경된 것이 없습니다.",
    "rows": "행 수",
    "It is nowhere.": "어디에도 없습니다.",
    "The log of an endpoint's containers.": "엔드포인트 컨테이너의 로그입니다.",
    "From when on: 90m, 8h, 3d ago, or a time.": (
        "이때부터 표시합니다. 90m, 8h, 3d(전) 또는 시각을 지정합니다."
    ),
    "From when on: 90m, 8h, 3d ago, or a time; of a --request from its call on.": (
        "이때부터 표시합니다. 90m, 8h, 3d(전) 또는 시각을 지정합니다. --request를 주면 "
        "해당 호출부터 표시합니다."
    ),
    "Lines that name this call: its id, or SageMaker's request ID.": (
        "이 호출을 가리키는 줄입니다. 호출의 id 또는 SageMaker의 요청 ID를 지정합니다."
    ),
    "A text that is in the line.": "줄에 포함된 텍스트입니다.",
    "Lines that name the model of this version, as digits:2.": (
        "이 버전의 모델을 언급하는 줄입니다. 예: digits:2."
    ),
    "Of one instance.": "한 인스턴스의 줄만 표시합니다.",
    "As bad as this, or worse.": "이 수준 이상만 표시합니다.",
    "There are no such lines. Look further back with --since.": (
        "해당하는 줄이 없습니다. --since로 더 과거까지 찾아보세요."
    ),
    # --- recalling.py ---
    "The calls of all people: list them, repeat one, forget a picture.": (
        "모든 사람의 호출: 목록을 보고, 다시 호출하고, 사진을 삭제합니다."
    ),
    "Of one endpoint.": "한 엔드포인트의 호출만.",
    "digits, digits:2, or digits@live: calls for which this was named.": (
        "digits, digits:2 또는 digits@live: 이 이름으로 요청한 호출만."
    ),
    "Those that failed.": "실패한 호출만.",
    "Cold starts, or the others.": "콜드 스타트만, 또는 나머지만.",
    "A text in the first label.": "첫 번째 레이블에 들어 있는 텍스트.",
    "Took at least so many ms.": "이 시간(ms) 이상 걸린 호출만.",
    "Who called, or me.": "호출한 사람, 또는 me.",
    "At most so many.": "최대 개수.",
    "Call once more what was called, with the same picture, while it is kept.": (
        "같은 사진으로 다시 호출합니다. 사진이 보관되어 있는 동안 가능합니다."
    ),
    "As mme calls says it.": "mme calls가 표시하는 대로.",
    "As mme calls says them.": "mme calls가 표시하는 대로.",
    "Delete what was sent, its thumbnail and its name; the answers stay.": (
        "보낸 사진과 썸네일, 이름을 삭제합니다. 응답은 남아 있습니다."
    ),
    "time": "시간",
    "The picture of {id} is forgotten. The answer stays.": (
        "호출 {id}의 사진을 삭제했습니다. 응답은 남아 있습니다."
    ),
    "Somebody else has sent the same one: it stays with their calls.": (
        "다른 사람도 같은 사진을 보냈습니다. 그 사람의 호출에는 사진이 남아 있습니다."
    ),
    "Its copy in a test set stays. Take it out on the model's page.": (
        "테스트 세트에 있는 사본은 남아 있습니다. 모델 페이지에서 빼세요."
    ),
    # --- imaging.py ---
    "The container images in ECR that an endpoint can be given; for admins.": (
        "엔드포인트에 지정할 수 있는 ECR의 컨테이너 이미지를 나열합니다. 관리자용입니다."
    ),
    "pushed": "푸시됨",
    # --- alarming.py ---
    "What watches an endpoint in CloudWatch: list, make, test, delete alarms.": (
        "CloudWatch에서 엔드포인트를 감시하는 경보를 나열하고, 만들고, 테스트하고, 삭제합니다."
    ),
    "The alarms of an endpoint, with their states.": "엔드포인트의 경보와 그 상태를 나열합니다.",
    "Make an alarm, or have it go off at another time.": (
        "경보를 만들거나, 울리는 조건을 바꿉니다."
    ),
    "Have an alarm deleted from CloudWatch.": "CloudWatch에서 경보를 삭제합니다.",
    "5xx, p99, cache-hits, memory, no-calls; with several variants p99.VARIANT.": (
        "5xx, p99, cache-hits, memory, no-calls. 변형이 여럿이면 p99.VARIANT."
    ),
    "When it goes off: failed calls, ms, or percent.": (
        "울리는 값: 실패한 호출 수, 밀리초 또는 퍼센트."
    ),
    "The time it looks at.": "확인하는 시간(분).",
    "Send a test to who is told.": "알림을 받는 곳에 테스트를 보냅니다.",
    "a test is on its way": "테스트를 보냅니다",
    "The portal goes on with the alarm. See: mme alarms list {name}": (
        "포털이 경보를 계속 처리합니다. 참고: mme alarms list {name}"
    ),
    "alarm": "경보",
    "goes off at": "울리는 조건",
    "OK": "정상",
    "in alarm": "경보 상태",
    "insufficient data": "데이터 부족",
    "being removed": "제거 중",
    # --- orphaned.py ---
    "What is in the AWS account and belongs to no endpoint.": (
        "AWS 계정에 있으면서 어떤 엔드포인트에도 속하지 않는 리소스를 다룹니다."
    ),
    "Which to adopt or delete: names, or KIND/NAME; without, all of the portal's.": (
        "인수하거나 삭제할 대상: 이름 또는 KIND/NAME. 생략하면 포털이 만든 것 전부입니다."
    ),
    "What others made, too; it goes by name alone.": (
        "다른 곳에서 만든 것도 포함합니다. 이것은 이름을 적어야만 삭제됩니다."
    ),
    "Make it the portal's own.": "포털이 관리하게 합니다.",
    "Delete it; archives stay.": "삭제합니다. 아카이브는 남습니다.",
    "Give one of --adopt and --delete.": "--adopt와 --delete 중 하나만 지정하세요.",
    "Say what to do with them: --adopt or --delete.": (
        "무엇을 할지 지정하세요. --adopt 또는 --delete입니다."
    ),
    "The portal is still looking: this is what it knew before.": (
        "포털이 아직 확인하는 중입니다. 아래는 이전에 확인한 내용입니다."
    ),
    "No such orphan: {names}. Nothing was changed. See: mme orphans --all": (
        "소유자 없는 리소스 중에 없습니다: {names}. 아무것도 변경하지 않았습니다. 참고: mme "
        "orphans --all"
    ),
    "This deletes from the AWS account:": "AWS 계정에서 다음을 삭제합니다.",
    "scalable target": "확장 가능 대상",
    "log group": "로그 그룹",
    "object in staging": "스테이징 객체",
    "made by others": "다른 곳에서 만듦",
    "To make one the portal's: mme orphans --adopt NAME": (
        "포털의 것으로 만들려면: mme orphans --adopt NAME"
    ),
    "In the AWS account are {count} more endpoints, not by this portal: {cost}.": (
        "AWS 계정에 이 포털이 만들지 않은 엔드포인트 {count}개가 더 있습니다: {cost}."
    ),
    "Last looked at: {at}.": "마지막 확인: {at}.",
    "See: mme endpoints --others": "확인: mme endpoints --others",
    "Type their names, separated by spaces: ": "이름을 공백으로 구분하여 입력하세요: ",
    "These are not their names. Nothing was changed.": (
        "이름이 일치하지 않습니다. 아무것도 변경하지 않았습니다."
    ),
    "The portal goes on with the deletion. See: mme orphans": (
        "포털이 삭제를 계속합니다. 참고: mme orphans"
    ),
    "cost an hour": "시간당 비용",
    "made by": "만든 곳",
    "why it is there": "남아 있는 이유",
    "Together: {cost}": "합계: {cost}",
    "the portal": "포털",
    "not known": "알 수 없음",
    "another portal": "다른 포털",
    "others": "다른 곳",
    "found": "발견됨",
    "to be deleted": "삭제 예정",
    "adopted": "인수됨",
    "A security group of your VPC; can be repeated; empty: no VPC.": (
        "VPC의 보안 그룹입니다. 여러 번 지정할 수 있습니다. 비우면 VPC를 쓰지 않습니다."
    ),
    "A subnet of your VPC; can be repeated; empty: no VPC.": (
        "VPC의 서브넷입니다. 여러 번 지정할 수 있습니다. 비우면 VPC를 쓰지 않습니다."
    ),
    "A tag for AWS's bill; KEY alone takes it out. Can be repeated.": (
        "AWS 청구서를 위한 태그입니다. KEY만 쓰면 제거합니다. 여러 번 지정할 수 있습니다."
    ),
    "A variable of the container; NAME alone takes it out. Can be repeated.": (
        "컨테이너의 환경 변수입니다. NAME만 쓰면 제거합니다. 여러 번 지정할 수 있습니다."
    ),
    "Change its type, count, variants, image or options; it serves meanwhile.": (
        "유형, 수, 변형, 이미지 또는 옵션을 변경합니다. 그동안에도 서빙합니다."
    ),
    "For a model from S3, 60 to 3600; 0: AWS's preset.": (
        "S3에서 모델을 받는 제한 시간입니다. 60~3600이고, 0은 AWS의 기본값입니다."
    ),
    "Give it as NAME=VALUE: {given}": "NAME=VALUE로 지정하세요: {given}",
    "Give it as NAME=VALUE, or NAME alone to take it out: {given}": (
        "NAME=VALUE로 지정하거나, 제거하려면 NAME만 지정하세요: {given}"
    ),
    "It encrypts the volume: an id, an ARN or an alias; empty: none.": (
        "볼륨을 암호화합니다. ID, ARN 또는 별칭이고, 비우면 없습니다."
    ),
    "KMS key": "KMS 키",
    "Keep so many calls of a hundred in S3, with their answers; 0: none.": (
        "호출 100건 중 몇 건을 응답과 함께 S3에 보관할지입니다. 0은 보관하지 않습니다."
    ),
    "data capture": "데이터 캡처",
    "Say what to change: --type, --count, --variant, --image, or another option.": (
        "무엇을 변경할지 지정하세요. --type, --count, --variant, --image 또는 다른 옵션입니다."
    ),
    "The volume of each instance; 0: AWS's preset.": (
        "인스턴스마다의 볼륨입니다. 0은 AWS의 기본값입니다."
    ),
    "Until a container must be healthy, 60 to 3600; 0: AWS's preset.": (
        "컨테이너가 정상 상태가 될 때까지의 시간입니다. 60~3600이고, 0은 AWS의 기본값입니다."
    ),
    "What it is for: fills what is left out.": "용도입니다. 지정하지 않은 값을 채웁니다.",
    "Whether models stay in memory after their calls.": "호출 후에 모델이 메모리에 남는지입니다.",
    "Who answers for its cost; by default who creates it.": (
        "비용을 책임지는 사람입니다. 기본값은 만든 사람입니다."
    ),
    "chosen": "선택한 값",
    "download": "다운로드",
    "environment": "환경 변수",
    "health check": "상태 확인",
    "model cache": "모델 캐시",
    "off": "끔",
    "security groups": "보안 그룹",
    "subnets": "서브넷",
    "volume": "볼륨",
    "Further versions, with fewer calls: {count}": "호출이 더 적은 다른 버전: {count}개",
    # --- costing.py, and its options ---
    "What the instances of a month cost, and will have cost at its end.": (
        "한 달 동안 인스턴스에 든 비용과 월말 예상 비용입니다."
    ),
    "The prices of instances that costs are estimated by.": (
        "비용을 추정하는 데 쓰는 인스턴스 가격을 나열합니다."
    ),
    "Prices of {region}, collected on {day}. Source: {source}": (
        "{region} 리전의 가격, 수집일 {day}. 출처: {source}"
    ),
    "an hour, {currency}": "시간당, {currency}",
    "What each line is.": "각 줄의 기준입니다.",
    "As 2026-11; without, the present one.": "2026-11 형식입니다. 생략하면 이번 달입니다.",
    "Print the lines as CSV.": "줄을 CSV로 출력합니다.",
    "cost, {currency}": "비용, {currency}",
    "forecast, {currency}": "예상, {currency}",
    "instance-hours": "인스턴스 시간",
    "day": "날짜",
    "tag": "태그",
    "No instance ran in {month}.": "{month}: 실행된 인스턴스가 없습니다.",
    "{month}: {cost} {currency} so far, {forecast} {currency} at its end.": (
        "{month}: 지금까지 {cost} {currency}, 월말 예상 {forecast} {currency}."
    ),
    "{month}: {cost} {currency}.": "{month}: {cost} {currency}.",
    "Not in the cost, as no price is known: {types}": (
        "가격을 알 수 없어 비용에서 제외됨: {types}"
    ),
    "without a tag": "태그 없음",
    "nobody": "없음",
    "idle for {days} days": "{days}일 동안 유휴",
    "without {types}": "{types} 제외",
    "Set what a month may cost, remove that, or list all budgets.": (
        "한 달 예산을 설정하거나 없애거나, 모든 예산을 나열합니다."
    ),
    "A month, in the currency of the prices.": "한 달 금액이며, 통화는 가격과 같습니다.",
    "Of this person's endpoints.": "이 사람의 엔드포인트에 대한 예산입니다.",
    "Of those with this tag.": "이 태그가 있는 엔드포인트에 대한 예산입니다.",
    "Remove the budget.": "예산을 없앱니다.",
    "Give an amount or --remove.": "금액과 --remove 중 하나만 지정하세요.",
    "Give an amount, or --remove.": "금액 또는 --remove를 지정하세요.",
    "The budget is removed.": "예산을 없앴습니다.",
    "There is no budget. Set one: mme cost budget 500": (
        "예산이 없습니다. 설정하려면: mme cost budget 500"
    ),
    "budget of": "예산 대상",
    "amount": "금액",
    "used": "사용",
    "cost": "비용",
    "forecast": "예상",
    "all endpoints": "모든 엔드포인트",
    "--type, --accept, --attributes and --headers go with --raw.": (
        "--type, --accept, --attributes, --headers는 --raw와 함께 씁니다."
    ),
    "With --raw: what is sent, as text/csv; without, by its bytes.": (
        "--raw와 함께: 보내는 내용의 형식(예: text/csv). 없으면 바이트로 판단합니다."
    ),
    "With --raw: what the container is asked for, as text/csv.": (
        "--raw와 함께: 컨테이너에 요청할 형식(예: text/csv)."
    ),
    "With --raw: SageMaker's custom attributes, for the container.": (
        "--raw와 함께: 컨테이너에 전달할 SageMaker 사용자 지정 속성."
    ),
    "With --raw: the answer's headers, too, as notes.": ("--raw와 함께: 응답 헤더도 표시합니다."),
    "The stores, where published archives lie: list, add, test, retire them.": (
        "게시된 아카이브가 있는 저장소를 나열하고, 추가하고, 테스트하고, 사용 중지합니다."
    ),
    "The store's name.": "저장소의 이름입니다.",
    "One store: what is in it, and what the portal may do there.": (
        "저장소 하나: 들어 있는 것과 포털이 거기서 할 수 있는 일입니다."
    ),
    "Try what the portal may do in a bucket, and add it as a store; for admins.": (
        "포털이 버킷에서 할 수 있는 일을 시험하고 저장소로 추가합니다. 관리자용입니다."
    ),
    "As s3://BUCKET/PREFIX.": "s3://BUCKET/PREFIX 형식입니다.",
    "Of the bucket, where not ours.": "버킷의 리전입니다. 포털의 리전과 다를 때 지정합니다.",
    "sse-s3 or sse-kms; empty: as the bucket says.": (
        "sse-s3 또는 sse-kms입니다. 비우면 버킷 설정을 따릅니다."
    ),
    "With sse-kms; empty: AWS's own.": "sse-kms와 함께 씁니다. 비우면 AWS의 키를 씁니다.",
    "Try what the portal may do in a store, right by right; for admins.": (
        "포털이 저장소에서 할 수 있는 일을 권한별로 시험합니다. 관리자용입니다."
    ),
    "Offer an empty store no more; for admins.": "빈 저장소를 사용 중지합니다. 관리자용입니다.",
    "Offer a retired store again; for admins.": (
        "사용 중지한 저장소를 다시 사용합니다. 관리자용입니다."
    ),
    "Only those in this store.": "이 저장소에 있는 것만.",
    "Where they lie; by default the store of the portal's settings.": (
        "아카이브가 있는 저장소입니다. 기본값은 포털 설정의 저장소입니다."
    ),
    "Which it serves; by default the store of the portal's settings.": (
        "서빙할 저장소입니다. 기본값은 포털 설정의 저장소입니다."
    ),
    "Where a new model goes, for good; by default the store of the portal's settings.": (
        "새 모델이 들어갈 저장소이며 나중에 바꿀 수 없습니다. 기본값은 포털 설정의 저장소입니다."
    ),
    "encryption": "암호화",
    "as the bucket says": "버킷 설정대로",
    "not tested": "테스트하지 않음",
    "rights are refused": "거부된 권한 있음",
    "Write the store as s3://BUCKET/PREFIX.": "저장소를 s3://BUCKET/PREFIX 형식으로 쓰세요.",
    "Restored: {name}": "복원됨: {name}",
    "Retired: {name}": "사용 중지됨: {name}",
    "tested": "테스트한 시각",
    "allowed": "허용됨",
    "permission": "권한",
    "result": "결과",
    "what was said": "응답 내용",
    "seen by": "볼 수 있는 사람",
    "Deleted: {name}": "삭제됨: {name}",
    "everybody": "모든 사람",
    "people": "사람",
    "{name} (writes)": "{name}(쓰기)",
    "Name groups with --sees and --writes, or say --everybody.": (
        "--sees, --writes로 그룹을 지정하거나 --everybody를 쓰세요."
    ),
    "Groups of people, whom a store is shown to: list, make, fill, delete; for admins.": (
        "저장소를 볼 사람들의 그룹: 목록, 만들기, 사람 넣기, 삭제. 관리자용입니다."
    ),
    "The group's name.": "그룹의 이름입니다.",
    "User names.": "사용자 이름입니다.",
    "One group, with its people.": "그룹 하나와 그 사람들.",
    "Make a group, with nobody in it.": "아무도 없는 그룹을 만듭니다.",
    "Put people into a group.": "그룹에 사람을 넣습니다.",
    "Take people out of a group.": "그룹에서 사람을 뺍니다.",
    "Delete a group that no store names.": "어느 저장소도 지정하지 않은 그룹을 삭제합니다.",
    "Say which groups see a store, and which write to it; for admins.": (
        "어느 그룹이 저장소를 보고 쓸 수 있는지 정합니다. 관리자용입니다."
    ),
    "It sees what is in it; several.": "저장소의 내용을 봅니다. 여러 번 쓸 수 있습니다.",
    "It sees it, and may change it; several.": (
        "저장소의 내용을 보고 변경합니다. 여러 번 쓸 수 있습니다."
    ),
    "No group: it is open to everybody.": "그룹 없음: 모든 사람에게 열려 있습니다.",
    "It costs now, and then no more: {cost}": "현재 비용이며 이후에는 들지 않습니다: {cost}",
    "Calls of AWS: {calls}": "AWS 호출: {calls}",
    "A day longer.": "하루 더 실행합니다.",
    "Not counted, as no price is known: {count}": "가격을 알 수 없어 제외한 수: {count}",
}
