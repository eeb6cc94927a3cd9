"""What the operations of the API do, in Korean: shown at /docs/api/ to who reads Korean.

By the ids of the operations. The English sentences are the first of their docstrings.
"""

SUMMARIES = {
    "status_get": "포털의 상태: 버전, 작업 위치, 구성 요소.",
    "today_get": "오늘 페이지의 내용: 조치가 필요한 것, 실행 중인 것과 비용, 오늘의 호출.",
    "me_get": "호출하는 사람: 사용자 이름, 역할, 범위(scope), 토큰.",
    "tokens_list": "내 토큰 목록, 최신순.",
    "tokens_create": "내 토큰을 만듭니다.",
    "tokens_get": "내 토큰 하나.",
    "tokens_revoke": "토큰과 그 토큰으로 만든 토큰을 모두 폐기합니다.",
    "groups_list": "그룹 목록, 이름순.",
    "groups_create": "구성원이 없는 그룹을 만듭니다.",
    "groups_get": "그룹 하나와 그 구성원.",
    "groups_change": (
        "그룹에 사람을 넣고 뺍니다. 전부 되거나 전혀 되지 않으며, 반복해도 결과가 같습니다."
    ),
    "groups_delete": "그룹을 삭제합니다.",
    "models_list": "모든 모델, 최근에 업로드한 순서. 검색과 필터로 좁힐 수 있습니다.",
    "models_create": "버전이 없는 모델을 등록합니다.",
    "models_get": "모델 하나.",
    "models_describe": "모델의 설명, 태그, 담당자를 바꿉니다. 생략한 항목은 그대로 둡니다.",
    "models_delete": "게시된 버전이 없는 모델을 거부된 버전과 함께 삭제합니다.",
    "versions_find": "모든 모델의 버전, 또는 SHA-256이 같은 버전, 최신순.",
    "versions_list": "모델의 버전 목록, 최신순.",
    "versions_push": "본문을 모델의 다음 버전으로 업로드합니다. 모델이 없으면 만듭니다.",
    "versions_get": "버전 하나. `wait`가 있으면 상태나 단계가 바뀔 때까지 기다립니다.",
    "versions_describe": (
        "버전의 메모와 메타데이터를 바꿉니다. 생략한 항목과 서빙되는 파일은 그대로입니다."
    ),
    "versions_delete": "버전의 아카이브와 업로드한 원본 파일을 작업으로 삭제합니다.",
    "versions_report": "검증 결과, 사전 점검이 보고한 그대로(docs/artifacts.md).",
    "versions_compare": "이 버전을 다른 버전과 비교합니다. 다른 버전은 지금 시점으로 정해집니다.",
    "versions_download": "아카이브의 위치: 1분 동안 유효한 S3 주소를 `Location`으로 알려 줍니다.",
    "versions_dismiss": "거부된 버전을 오늘 페이지에서 내립니다. 다른 버전에는 영향이 없습니다.",
    "versions_uses": "버전을 쓰는 곳: 별칭, 서빙하는 엔드포인트, 마지막 호출.",
    "versions_retire": "버전의 사용을 중지합니다. 어디에서도 제공하거나 호출하지 않습니다.",
    "versions_restore": "사용 중지한 버전을 다시 준비 상태로 만듭니다.",
    "copies_list": "버전의 복사본, 요청한 순서.",
    "copies_create": (
        "준비된 버전을 저장소 안에서 다른 이름으로 복사합니다. 복사본은 새 모델의 버전 1이 됩니다."
    ),
    "copies_preview": "복사본의 이름과 위치, 그리고 방해가 되는 것을 미리 봅니다.",
    "imports_list": "있는 그대로 가져온 버전, 최신순, 상태와 함께.",
    "imports_create": (
        "저장소에 있는 아카이브를 검증하고 등록합니다. 각각 새 모델의 버전 1이 됩니다."
    ),
    "imports_preview": "저장소 접두사 아래에 있으나 등록되지 않은 것. S3의 지금 목록입니다.",
    "versions_repack": "있는 그대로는 거부된 아카이브의 표준 복사본을 만듭니다.",
    "uploads_options": "지원하는 tus 기능: 버전, 확장, 가장 큰 아카이브 크기.",
    "uploads_create": "업로드를 시작합니다. 주소는 `Location`에 있습니다.",
    "uploads_list": "아직 버전이 되지 않은 내 업로드, 최신순.",
    "uploads_offset": "업로드가 얼마나 도착했는지: `Upload-Offset`.",
    "uploads_get": "업로드 하나와 그로부터 만들어진 버전.",
    "uploads_send": "본문을 업로드의 `Upload-Offset` 위치부터 덧붙입니다.",
    "uploads_cancel": "업로드를 취소하고 도착한 데이터를 삭제합니다.",
    "storage_get": (
        "아카이브가 차지하는 용량: 전체, 저장소별, 사람별, 모델별. 할당량도 포함합니다."
    ),
    "quotas_put": (
        "사람에게 별도 할당량을 주거나 기본값으로 되돌립니다. 저장된 것은 그대로입니다."
    ),
    "stores_list": "저장소 목록: 기본 저장소가 먼저, 그다음은 이름순.",
    "stores_create": "버킷에서 포털이 할 수 있는 일을 확인하고 저장소로 추가합니다.",
    "stores_get": "저장소 하나와 그 안의 내용.",
    "stores_groups": (
        "저장소에 지정할 그룹을 정확히 이 목록으로 합니다. 반복해도 결과가 같습니다."
    ),
    "stores_test": "저장소에서 포털이 할 수 있는 일을 권한별로 다시 확인합니다. 몇 초 걸립니다.",
    "stores_retire": "저장소를 더 제공하지 않습니다. 비어 있어야 합니다.",
    "stores_restore": "사용 중지한 저장소를 다시 제공합니다.",
    "aliases_list": "모델의 별칭, 이름순.",
    "aliases_get": "별칭 하나. ETag는 If-Match에 쓰는 값입니다.",
    "aliases_put": "별칭이 버전을 가리키게 합니다. 별칭이 없으면 만듭니다.",
    "aliases_delete": "별칭을 삭제합니다. 기록은 남습니다.",
    "aliases_rollback": "별칭을 이전 버전으로 되돌립니다. 다음 롤백은 그 전 버전으로 갑니다.",
    "aliases_history": "별칭의 기록, 최신순. 삭제된 별칭도 포함합니다.",
    "endpoints_list": "삭제되지 않은 엔드포인트, 최신순.",
    "endpoints_create": "엔드포인트를 만듭니다.",
    "endpoints_preview": "엔드포인트를 만들 때의 AWS 호출과 비용을 미리 봅니다.",
    "endpoints_get": "엔드포인트 하나: 이 이름으로 있는 것, 없으면 마지막으로 삭제된 것.",
    "endpoints_update": "작동 중인 엔드포인트를 변경합니다. 그동안에도 서빙합니다.",
    "endpoints_check": "SageMaker에 상태를 바로 묻습니다. 멈춘 것은 다시 시도합니다.",
    "endpoints_preview_change": "변경할 때의 AWS 호출, 달라지는 것, 비용을 미리 봅니다.",
    "endpoints_rollback": "엔드포인트를 이전 리비전의 상태로 되돌립니다. 또 하나의 변경입니다.",
    "endpoints_weigh": "엔드포인트의 변형 사이에서 호출을 나누는 비율을 바꿉니다.",
    "endpoints_set_hours": "엔드포인트의 근무 시간을 정하거나 바꾸거나 없앱니다.",
    "endpoints_pause": (
        "엔드포인트를 지금 일시 중지합니다. 인스턴스는 멈추고 구성과 모델은 남습니다."
    ),
    "endpoints_resume": (
        "엔드포인트를 지금 다시 시작합니다. 같은 이름으로 다시 만들며 AWS에서는 몇 분 걸립니다."
    ),
    "endpoints_extend": (
        "이번에만 두 시간 더 실행합니다. 근무 시간이 없으면 409 `conflict`입니다."
    ),
    "endpoints_accept": "포털 밖에서 바뀐 것을 수락합니다. 새 리비전이 됩니다.",
    "endpoints_put_back": "포털 밖에서 바뀌거나 삭제된 것을 원하는 상태로 다시 만듭니다.",
    "endpoints_expire": "엔드포인트의 종료일을 정하거나 바꾸거나 없앱니다.",
    "endpoints_postpone": (
        "엔드포인트의 종료일을 하루 미룹니다. 종료일이 없으면 409 `conflict`입니다."
    ),
    "endpoints_set_idle": (
        "정한 시간 동안 호출이 없으면 엔드포인트를 삭제하게 하거나, 그 설정을 없앱니다."
    ),
    "endpoints_postpone_idle": (
        "하루 더 유휴 상태를 허용합니다. `idle_ends_at`이 없으면 409 `conflict`입니다."
    ),
    "endpoints_scale": "AWS가 호출에 따라 인스턴스 수를 바꾸게 하거나 한도를 새로 정합니다.",
    "endpoints_scale_off": "오토스케일링을 끕니다.",
    "endpoints_preview_scaling": "오토스케일링의 AWS 호출과 예상 비용을 미리 봅니다.",
    "endpoints_revisions": "엔드포인트에 요청된 리비전과 그 결과, 최신순.",
    "endpoints_teardown": "엔드포인트를 삭제합니다.",
    "endpoints_preview_teardown": "엔드포인트를 삭제할 때 지워지는 것과 남는 것을 미리 봅니다.",
    "endpoints_undo_teardown": (
        "시작되지 않은 삭제를 취소합니다. `teardown_at`이 가장 이른 시작 시각입니다."
    ),
    "alarms_list": "엔드포인트의 경보와 마지막으로 확인한 상태.",
    "alarms_get": "경보 하나: `p99` 또는 `p99.VARIANT`.",
    "alarms_put": "경보를 만들거나 울리는 조건을 바꿉니다.",
    "alarms_delete": "경보를 삭제합니다. 응답은 바로 옵니다.",
    "alarms_test": "경보가 울린 것처럼 웹후크와 메일로 알리고, 시험이라고 밝힙니다.",
    "images_list": "엔드포인트에 쓸 수 있는 ECR의 컨테이너 이미지와 푸시 날짜.",
    "orphans_list": "AWS 계정에 있으나 포털의 어느 엔드포인트에도 속하지 않는 리소스.",
    "orphans_adopt": "리소스를 포털의 것으로 만듭니다.",
    "orphans_get": "소유자 없는 리소스 하나.",
    "orphans_delete": "리소스를 삭제합니다. 응답은 바로 오고 삭제는 끝까지 확인합니다.",
    "cost_get": "한 달 동안 인스턴스에 든 비용과 이번 달의 예상.",
    "budgets_put": "한 달 예산을 정합니다: 전체, 담당자별, 태그별.",
    "budgets_delete": "예산을 없앱니다. 더는 알리지 않습니다.",
    "prices_list": "비용을 추정하는 가격: AWS 가격표, 파일, 또는 포털의 목록.",
    "invocations_create": "본문으로 모델을 호출하고 답을 기다립니다.",
    "invocations_list": "모든 사람의 호출, 최신순.",
    "invocations_get": "호출 하나: 답 또는 진행 상황.",
    "invocations_picture": "보낸 이미지의 JPEG: 보관하는 동안은 480픽셀, 그 뒤 일주일은 192픽셀.",
    "invocations_forget_picture": "보낸 것을 지금 삭제합니다: 이미지, 썸네일, 이름.",
    "invocations_repeat": "같은 이미지로 한 번 더 호출하고 답을 기다립니다.",
    "endpoints_metrics": (
        "엔드포인트의 지표: SageMaker는 모든 호출을, 포털은 자기 호출을 측정합니다."
    ),
    "endpoints_thrash": "모델이 메모리를 번갈아 차지하는지, 지난 하루의 호출로 판단합니다.",
    "capacity_plan": "이 모델과 호출을 감당할 인스턴스 유형과 수를 계획합니다.",
    "warmings_create": "모델을 지금 웜 상태로 만듭니다. 작업이 버전을 하나씩 한 번 호출합니다.",
    "warmings_get": "워밍의 진행 상황. `wait`가 있으면 끝날 때까지 기다립니다.",
    "warmings_stop": "남은 버전을 호출하지 않습니다. 끝난 워밍은 그대로입니다.",
    "warmth_get": "엔드포인트에서 웜 상태로 유지되는 모델과 최근의 워밍.",
    "warmth_put": "지금부터 이 모델을 웜 상태로 유지합니다. 이전 설정을 대신합니다.",
    "warmth_delete": "웜 상태 유지를 끝냅니다. 진행 중인 워밍은 계속됩니다.",
    "endpoints_logs": "엔드포인트 컨테이너의 로그, 오래된 줄부터.",
    "samples_list": "포털에 포함된 이미지, 그룹과 이름순. 없으면 빈 목록입니다.",
    "samples_get": "이미지 하나의 바이트.",
    "comparisons_create": "두 버전(또는 하나)을 같은 이미지로 호출해 비교합니다.",
    "comparisons_list": "모든 사람의 비교, 최신순.",
    "pictures_keep": "비교에 쓸 이미지를 보냅니다.",
    "comparisons_stop": "이미지를 더 보내지 않습니다. 이미 받은 답은 남습니다.",
    "comparisons_delete": "비교를 삭제합니다.",
    "comparisons_get": (
        "이미지마다 두 답, 지금까지의 결과. `wait`가 있으면 끝날 때까지 기다립니다."
    ),
    "comparisons_csv": "스프레드시트용 결과: 이미지마다 한 줄.",
    "experiments_create": "버전을 무작위로 골라 여러 번 호출하고 결과를 셉니다.",
    "experiments_list": "모든 사람의 실험, 최신순.",
    "experiments_preview": (
        "실험의 계획: 대상별 호출 수, 걸리는 시간, 메모리에서 밀려날 수 있는 모델."
    ),
    "experiments_get": "실험의 지금까지 결과. `wait`가 있으면 끝날 때까지 기다립니다.",
    "experiments_compare": "두 실험의 호출 수, 콜드 스타트, 지연 시간을 나란히 보여 줍니다.",
    "experiments_rename": "실험의 이름을 바꿉니다.",
    "experiments_stop": "새 호출을 시작하지 않습니다.",
    "experiments_csv": "스프레드시트용 결과: 대상마다 한 줄.",
    "events_list": "일어난 일, 최신순. `after`가 있으면 그 뒤의 일을 오래된 순서로 알려 줍니다.",
    "redactions_plan": "텍스트가 기록의 어디에 있는지 찾습니다. 아무것도 바꾸지 않습니다.",
    "redactions_create": (
        "메모, 메타데이터, 레이블, 결과, 호출, 이벤트의 텍스트를 영구히 `███`로 바꿉니다."
    ),
    "webhooks_kinds": "웹후크로 알릴 수 있는 종류, 이름순.",
    "webhooks_list": "웹후크 목록, 만든 순서.",
    "webhooks_create": "웹후크를 만듭니다.",
    "webhooks_get": "웹후크 하나. ETag는 If-Match에 쓰는 값입니다.",
    "webhooks_change": (
        "웹후크를 변경하거나 일시 중지하거나 다시 시작합니다. 생략한 항목은 그대로 둡니다."
    ),
    "webhooks_delete": "웹후크를 전송 기록과 함께 삭제합니다.",
    "webhooks_rotate": "새 비밀 값을 만듭니다. 이 응답에서만 볼 수 있습니다.",
    "webhooks_test": "지금 시험 메시지를 보내고 수신 서버의 응답을 알려 줍니다.",
    "webhooks_deliveries": "웹후크로 보낸 메시지와 보내는 중인 메시지, 최신순.",
    "webhooks_redeliver": "같은 id로 메시지를 다시 보냅니다.",
    "mails_get": "메일로 받는 알림.",
    "mails_put": "메일로 받을 알림을 고릅니다.",
    "openapi_get": "이 문서: API가 제공하는 것, OpenAPI 3.1 형식.",
}
