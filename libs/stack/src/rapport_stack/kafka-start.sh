# Entry of the image apache/kafka, for data that stay. Its own one formats the data folder at each start; builds of the image
# differ in whether a folder that is formatted already is an error. Here it is none.
[ -e "$KAFKA_LOG_DIRS/meta.properties" ] || exec /etc/kafka/docker/run
KAFKA_HEAP_OPTS=-Xmx256m /opt/kafka/bin/kafka-run-class.sh kafka.docker.KafkaDockerWrapper setup \
    --default-configs-dir /etc/kafka/docker --mounted-configs-dir /mnt/shared/config --final-configs-dir /opt/kafka/config
exec /opt/kafka/bin/kafka-server-start.sh /opt/kafka/config/server.properties
