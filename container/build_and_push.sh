#!/usr/bin/env bash
# Builds the image and pushes it to this account's ECR, creating the repository where it is missing.
#
#   container/build_and_push.sh [--dry-run] [REPOSITORY[:TAG]]
#
# REPOSITORY is demo-sagemaker-multimodel and TAG is latest unless given. Needs the AWS CLI with
# credentials, and docker (or another engine: CONTAINER_ENGINE=podman). The region is AWS_REGION,
# AWS_DEFAULT_REGION or the CLI's own, else ap-northeast-2. --dry-run prints the commands, and
# calls neither AWS nor the engine; the account is then AWS_ACCOUNT_ID or 123456789012.
set -euo pipefail

usage() { sed -n '2,9s/^# \{0,1\}//p' "$0"; }

dry_run=false
image=demo-sagemaker-multimodel:latest
for argument in "$@"; do
  case $argument in
    --dry-run) dry_run=true ;;
    -h | --help) usage; exit 0 ;;
    -*) echo "Unknown option $argument" >&2; usage >&2; exit 2 ;;
    *) image=$argument ;;
  esac
done
repository=${image%%:*}
tag=latest
[[ $image == *:* ]] && tag=${image#*:}
if ! [[ $repository =~ ^[a-z0-9]+([._/-][a-z0-9]+)*$ && $tag =~ ^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$ ]]; then
  echo "'$image' is no name for a repository: small letters, digits and . _ - /, then :TAG." >&2
  exit 2
fi

engine=${CONTAINER_ENGINE:-docker}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

fail() { echo "$1" >&2; exit 1; }
need() { command -v "$1" >/dev/null || fail "$1 is missing: $2"; }
ask_aws() { aws --cli-connect-timeout 10 --cli-read-timeout 60 "$@"; }
run() { # prints the command; runs it unless --dry-run
  printf '+ %s\n' "$(printf '%q ' "$@")"
  $dry_run || "$@"
}

region=${AWS_REGION:-${AWS_DEFAULT_REGION:-}}
if ! $dry_run; then
  need aws "install the AWS CLI, version 2."
  need "$engine" "install it, or name another with CONTAINER_ENGINE."
  [[ -n $region ]] || region=$(aws configure get region || true)
fi
region=${region:-ap-northeast-2}

if $dry_run; then
  account=${AWS_ACCOUNT_ID:-123456789012}
else
  account=$(ask_aws sts get-caller-identity --region "$region" --query Account --output text) \
    || fail "AWS does not say whose account this is: are there credentials, and do they hold?"
fi
suffix=amazonaws.com
[[ $region == cn-* ]] && suffix=amazonaws.com.cn
registry=$account.dkr.ecr.$region.$suffix
full=$registry/$repository:$tag

create() {
  run aws ecr create-repository --region "$region" --repository-name "$repository" \
    --image-scanning-configuration scanOnPush=true
}
# Only "not found" means that it is to be created; any other error (no rights, no network) ends here.
if $dry_run; then
  run aws ecr describe-repositories --region "$region" --repository-names "$repository"
  echo "  (and where that says RepositoryNotFoundException:)"
  create
elif ! answer=$(ask_aws ecr describe-repositories --region "$region" --repository-names "$repository" 2>&1); then
  [[ $answer == *RepositoryNotFoundException* ]] \
    || fail "$answer"$'\n'"ECR does not say whether there is a repository $repository in $region."
  create >/dev/null || fail "The repository $repository could not be created in $region."
  echo "Created the repository $repository in $region."
fi

# The password goes through a pipe: it would show in the list of processes as an argument.
echo "+ aws ecr get-login-password --region $region | $engine login --username AWS --password-stdin $registry"
if ! $dry_run; then
  ask_aws ecr get-login-password --region "$region" \
    | "$engine" login --username AWS --password-stdin "$registry" \
    || fail "$engine could not log in to $registry."
fi

run "$engine" build --platform linux/amd64 -t "$repository:$tag" "$here" \
  || fail "The image could not be built; nothing was pushed."
run "$engine" tag "$repository:$tag" "$full" || fail "The image could not be named $full."
run "$engine" push "$full" || fail "The image is built, but could not be pushed to $registry."
echo "Image: $full"
