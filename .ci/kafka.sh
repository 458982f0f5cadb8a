#!/usr/bin/env bash
# Fetch the jars of a Kafka broker into .tools/kafka, once; the tests start it. Needs Java 17 and Maven.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
home=${CONTROLPLANE_KAFKA_HOME:-$here/../.tools/kafka}
wanted=$(sha256sum <"$here/kafka/pom.xml")

if [[ -f $home/complete && $(<"$home/complete") == "$wanted" ]]; then
    exit 0
fi
for tool in java mvn; do
    command -v "$tool" >/dev/null || { echo "kafka.sh: $tool is missing; .ci/install installs it" >&2; exit 1; }
done

mkdir -p "$home"
fetched=$(mktemp -d "$home/fetch.XXXXXX")
trap 'rm -rf "$fetched"' EXIT
mvn --batch-mode --quiet --strict-checksums --file "$here/kafka/pom.xml" \
    dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$fetched/libs"
rm -rf "$home/libs" "$home/complete"
mv "$fetched/libs" "$home/libs"
printf '%s' "$wanted" >"$home/complete"
echo "kafka.sh: $(find "$home/libs" -name '*.jar' | wc -l) jars in $home/libs" >&2
