#!/bin/bash
# Save as: test_progress_polling.sh

OPERATION_ID="op_training_20250123_abc123"  # Replace with your operation_id

for i in {1..6}; do
  echo "=== Poll $i ==="
  curl -s http://localhost:8000/api/v1/operations/$OPERATION_ID | jq '.progress'
  sleep 5
done
