# Poll until status is COMPLETED
while true; do
  STATUS=$(curl -s http://localhost:8000/api/v1/operations/op_training_20250123_abc123 | jq -r '.status')
  echo "Status: $STATUS"
  if [ "$STATUS" = "COMPLETED" ]; then
    echo "Training completed!"
    break
  fi
  sleep 5
done
