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

need() { command -v "$1" >/dev/null || { echo "$1 is missing: $2" >&2; exit 1; }; }
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
  account=$(aws sts get-caller-identity --query Account --output text)
fi
suffix=amazonaws.com
[[ $region == cn-* ]] && suffix=amazonaws.com.cn
registry=$account.dkr.ecr.$region.$suffix
full=$registry/$repository:$tag

# Only "not found" means that it is to be created; any other error (no rights, no network) ends here.
if $dry_run; then
  run aws ecr describe-repositories --region "$region" --repository-names "$repository"
  echo "  (and where that says RepositoryNotFoundException:)"
  run aws ecr create-repository --region "$region" --repository-name "$repository" \
    --image-scanning-configuration scanOnPush=true
elif ! answer=$(aws ecr describe-repositories --region "$region" --repository-names "$repository" 2>&1); then
  if [[ $answer != *RepositoryNotFoundException* ]]; then
    echo "$answer" >&2
    exit 1
  fi
  run aws ecr create-repository --region "$region" --repository-name "$repository" \
    --image-scanning-configuration scanOnPush=true
fi

# The password goes through a pipe: it would show in the list of processes as an argument.
echo "+ aws ecr get-login-password --region $region | $engine login --username AWS --password-stdin $registry"
if ! $dry_run; then
  aws ecr get-login-password --region "$region" \
    | "$engine" login --username AWS --password-stdin "$registry"
fi

run "$engine" build --platform linux/amd64 -t "$repository:$tag" "$here"
run "$engine" tag "$repository:$tag" "$full"
run "$engine" push "$full"
echo "Image: $full"
