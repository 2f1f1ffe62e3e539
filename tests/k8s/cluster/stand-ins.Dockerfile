# In place of two images of registries: the operator's, which is one of Spark with its program, and Kafka's, laid out alike.
ARG BASE_IMAGE
ARG WATTCAST
FROM ${WATTCAST} AS wattcast
FROM ${BASE_IMAGE}
RUN --mount=type=bind,from=wattcast,source=/opt/spark,target=/spark cp -r /spark /opt/spark && rm /opt/spark/jars/bundle-*.jar
COPY --from=wattcast /etc/passwd /etc/passwd
COPY broker/*.jar /opt/kafka/libs/
COPY bin/spark-operator /usr/bin/spark-operator
RUN mkdir /opt/kafka/bin && cd /opt/kafka/bin \
 && for each in kafka-storage=kafka.tools.StorageTool kafka-server-start=kafka.Kafka; do \
      printf '#!/bin/sh\nexec java $KAFKA_HEAP_OPTS -cp "/opt/kafka/libs/*" %s "$@"\n' "${each#*=}" > "${each%%=*}.sh"; \
    done && chmod 755 *.sh
ENV SPARK_HOME=/opt/spark
USER 185
ENTRYPOINT ["tini", "-s", "--", "/usr/bin/spark-operator"]
