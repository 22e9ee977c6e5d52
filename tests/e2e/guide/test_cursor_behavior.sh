#!/bin/bash
# Save as: test_cursor_behavior.sh

OPERATION_ID="op_training_20250123_abc123"  # Replace with your operation_id

echo "=== Initial Query (cursor=0, get all metrics) ==="
RESPONSE=$(curl -s "http://localhost:8000/api/v1/operations/$OPERATION_ID/metrics?cursor=0")
echo "$RESPONSE" | jq '.'
CURSOR=$(echo "$RESPONSE" | jq -r '.new_cursor')
COUNT=$(echo "$RESPONSE" | jq '.metrics | length')
echo "Received $COUNT metrics, new cursor: $CURSOR"

echo ""
echo "=== Wait for more epochs (10 seconds) ==="
sleep 10

echo ""
echo "=== Incremental Query (cursor=$CURSOR, get only new metrics) ==="
RESPONSE=$(curl -s "http://localhost:8000/api/v1/operations/$OPERATION_ID/metrics?cursor=$CURSOR")
echo "$RESPONSE" | jq '.'
NEW_CURSOR=$(echo "$RESPONSE" | jq -r '.new_cursor')
NEW_COUNT=$(echo "$RESPONSE" | jq '.metrics | length')
echo "Received $NEW_COUNT new metrics, new cursor: $NEW_CURSOR"

echo ""
echo "=== Verify no duplicates (query again with old cursor) ==="
RESPONSE=$(curl -s "http://localhost:8000/api/v1/operations/$OPERATION_ID/metrics?cursor=$CURSOR")
DUPLICATE_COUNT=$(echo "$RESPONSE" | jq '.metrics | length')
echo "Should get same $NEW_COUNT metrics (not duplicated)"
echo "Received $DUPLICATE_COUNT metrics"

if [ "$DUPLICATE_COUNT" -eq "$NEW_COUNT" ]; then
  echo "✅ PASS: No duplicates"
else
  echo "❌ FAIL: Duplicate count mismatch"
fi
