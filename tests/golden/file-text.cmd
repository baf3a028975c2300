echo "this is no trace" >text && mtdump info text
