-- A row of each word for a state that d6910c9.sql has no row of.
INSERT INTO endpoints_endpoint (
    name, status, revision, bucket, prefix, image, role_arn, instance_type, instance_count, wanted,
    failure, hint, attempts, created_at, check_after, checked_at, created_by_id
)
SELECT
    word.column1, word.column2, revision, bucket, prefix, image, role_arn, instance_type,
    instance_count, wanted, failure, hint, attempts, created_at, check_after, checked_at, created_by_id
FROM endpoints_endpoint, (
    VALUES ('changing', 'Updating'), ('rolling', 'RollingBack'), ('stuck', 'UpdateRollbackFailed'),
    ('out', 'OutOfService'), ('odd', 'Dreaming')
) AS word
WHERE name = 'serving';

INSERT INTO endpoints_resource (kind, name, arn, status, changed_at, endpoint_id)
SELECT word.column1, 'odd', '', word.column2, check_after, id
FROM endpoints_endpoint, (VALUES ('config', 'Deleting'), ('endpoint', 'Dreaming')) AS word
WHERE name = 'odd';
